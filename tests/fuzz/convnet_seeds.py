"""Small good files of cuda-convnet: definitions with their parameter files, and checkpoints."""

import gzip
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

from tests.fuzz.seeds import Files, random_tensors

from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import define

_HEAD = "[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n"
_EIGHT = ",".join(["0.1"] * 8)
_EVERY_LAYER = (
    _HEAD
    + "[DEFAULT]\nchannels=3\n[conv]\ntype=conv\ninputs=data\nfilters=4\nfilterSize=3\npadding=1\ninitW=%(std)s\n"
    + "neuron=relu\nstd=0.1 ; why\nsharedBiases=1\nweightSource=\n"
    + "[sparse]\ntype=conv\ninputs=data\nfilters=2\ngroups=3\nfilterSize=3\nrandSparse=1\n"
    + "initW=0.1\n[local]\ntype=local\ninputs=data\nfilters=2\nfilterSize=5\nstride=4\ninitW=0.1\ninitWFunc=f.g(3)\n"
    + "".join(
        f"[{way}]\ntype=pool\npool={way}\ninputs=data\nsizeX=3\nstride=2\nstart=0\noutputsX=0\n"
        for way in ("max", "avg", "rand")
    )
    + "".join(f"[{kind}]\ntype={kind}\ninputs=data\nsize=3\nblocked=0\n" for kind in ("cmrnorm", "rnorm", "cnorm"))
    + "[blur]\ntype=blur\ninputs=data\nfilterSize=3\nstdev=1\n[nails]\ntype=nailbed\ninputs=data\nstride=2\n"
    + "[href]\ntype=href\ninputs=data\n[sum]\ntype=eltsum\ninputs=rnorm,cnorm,blur\ncoeffs=1,0.5,\n 2\n"
    + "[both]\ntype=concat\ninputs=sum,href,cmrnorm\n[drop]\ntype=hs\ninputs=both\nkeep=0.5\n"
    + "[neuron]\ntype=neuron\ninputs=drop\nneuron=logistic\n"
    + f"[fc]\ntype=fc\ninputs=neuron,conv,sparse,local,max,avg,rand,nails\noutputs=4\ninitW={_EIGHT}\nneuron=logistic\n"
    + "[cost]\ntype=cost.crossent2\ninputs=labels,fc\n"
)
_EVERY_PARAMETER = (
    "[DEFAULT]\nepsW=0.01\nepsB=0.02\nmomW=0.9\nmomB=0.9\nwc=0.0005\nscale=0.1\npow=0.75\ncoeff=1\n[cost]\n[rnorm]\n[cnorm]\n"
    "[conv]\nsuperEps=0\nschedW=dexp[tgtFactor=250,numSteps=4]\n[sparse]\nwball=2\nschedW=exp[250]\n"
    f"[local]\nwcNormMin=1\nwcNormMax=2\nschedW=jdexp[250,0.1,4]\n[fc]\nepsW={_EIGHT}\nmomW={_EIGHT}\nwc={_EIGHT}\nschedW=linear[250]\nschedB=dexp[250,4]\n"
    "[rand]\ndoMax=1\n[drop]\nenable=0\n[cmrnorm]\nminDiv=2\n"
)

# What the released nets have besides: answers less labels, a tree of classes, classes in two layers, references.
_ODD_NETS = (
    _HEAD
    + "[fc]\ntype=fc\ninputs=data\noutputs=4\ninitW=0.1\nneuron=logistic\n"
    + "[less]\ntype=eltsum\ninputs=labels,fc\ncoeffs=-1,1\n[cost]\ntype=cost.sum2\ninputs=less\n",
    _HEAD
    + "[tree]\ntype=treefc\ninputs=data\noutputs=4\ninitW=0.1\n[probs]\ntype=softmax\ninputs=tree\n"
    + "[cost]\ntype=cost.logreg\ninputs=labels,probs\n",
    _HEAD
    + "[DEFAULT]\ninitW=0.1\nstd=0%(dot)s1\ndot=.\n[a]\ntype=fc\ninputs=data\noutputs=3\ninitW=%(std)s\nnote=100%%\n"
    + "[b]\ntype=fc\ninputs=data\noutputs=2\n[both]\ntype=concat\ninputs=a,b\n[probs]\ntype=softmax\ninputs=both\n"
    + "[cost]\ntype=cost.logreg\ninputs=labels,probs\n",
)
_ONE_FOR_ALL = "[DEFAULT]\nepsW=0.1\nepsB=0.02\nmomW=0.9\nmomB=0.9\nwc=0\ncoeff=1\n"
_ODD_PARAMETERS = _ONE_FOR_ALL + "".join(f"[{name}]\n" for name in ("fc", "tree", "a", "b", "cost"))


def definitions() -> list[Files]:
    from tests.interop.cuda_convnet.test_trained import NET, NORMS
    from tests.weights.test_cuda_convnet import TWO_TOWERS

    nets = Path(__file__).parents[1] / "interop" / "cuda_convnet" / "nets"
    rates = "epsW={0}\nepsB=0.02\nmomW={0}\nmomB=0.9\nwc={0}\n"
    towers = "".join(f"[{name}]\n{rates.format(0.1)}" for name in ("conv1a", "conv1b", "conv2a", "conv2b"))
    towers += "".join(f"[{name}]\n{rates.format('0.1,0.1')}" for name in ("densea", "denseb", "fc"))
    towers += "[cost]\ncoeff=1\n"
    norms = f"[DEFAULT]\n{rates.format(0.1)}{NORMS}[conv1]\n[local3]\n"
    norms += "".join(f"[{name}]\n{rates.format('0.1,0.1')}" for name in ("conv2", "fc"))
    norms += "[cost]\ncoeff=1\n[drop]\nenable=1\n"
    texts = (
        (_EVERY_LAYER, _EVERY_PARAMETER),
        (NET, norms),
        (TWO_TOWERS, towers),
        *((net, _ODD_PARAMETERS) for net in _ODD_NETS),
    )
    written = [{"net.cfg": net.encode(), "params.cfg": parameters.encode()} for net, parameters in texts]
    names = {"net.cfg": "layers-145.cfg", "params.cfg": "layer-params-145.cfg"}
    return [*written, {name: (nets / file).read_bytes() for name, file in names.items()}]


_IMAGENETS_CLASSES = (
    _HEAD
    + "[conv]\ntype=conv\ninputs=data\nchannels=3\nfilters=1\nfilterSize=4\npadding=0\nstride=1\ninitW=0.1\n"
    + "[fc]\ntype=fc\ninputs=conv\noutputs=1000\ninitW=0.1\n[probs]\ntype=softmax\ninputs=fc\n"
    + "[cost]\ntype=cost.logreg\ninputs=labels,probs\n"
)


def checkpoints() -> list[Files]:
    from tests.interop.cuda_convnet.test_trained import NET, NORMS, checkpoint_of
    from tests.weights.test_cuda_convnet import TWO_TOWERS, layer_of

    held: list[Any] = []
    for text, norms, size in ((NET, NORMS, 8), (TWO_TOWERS, "", 8), (_IMAGENETS_CLASSES, "", 4)):
        definition = define(
            parse_sections(text, "net.cfg"), parse_sections(norms, "p.cfg"), name="net", source="test", input_size=size
        )
        if norms:
            layers = dict(checkpoint_of(definition, random_tensors(definition.spec)).layers)
            held.append({**layers, "data": {**layers["data"], "outputs": 3 * size * size}})
            continue
        layers = {name: layer_of(name, definition, random_tensors(definition.spec)) for name in definition.sections}
        layers["data"]["outputs"] = 3 * size * size
        held.append([{"name": name, **layer} for name, layer in layers.items()])
    states = [{"model_state": {"layers": layers, "epoch": 3, "batchnum": 1}, "op": None} for layers in held]
    plain = [pickle.dumps(state, protocol) for state in states for protocol in (2, 5)]
    zeros = gzip.compress(bytes(1 << 21), 9, mtime=0)  # far more than any weights are packed
    old = plain[0][:-3] + b"(coptions\nOptionsParser\no}b" + plain[0][-2:]  # `op` was None
    return [
        {"net.1": content} for content in (*plain, old, gzip.compress(plain[0], 1, mtime=0), _zipped(plain[3]), zeros)
    ]


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
