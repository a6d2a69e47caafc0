"""Small good files of every format and layout, which the fuzzer changes."""

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from alexnet.arch import NETS
from alexnet.arch.rows import Conv, Dropout, Fc, Lrn, MaxPool, Relu, Softmax
from alexnet.arch.spec import Spec
from alexnet.data.splits import unnamed_classes
from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.interop.onnx import Graph
from alexnet.interop.torchvision import ROWS
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, save_weights
from alexnet.weights.check import tensor_shapes
from alexnet.weights.files import save_packed
from alexnet.weights.packed import Coded
from alexnet.weights.pth import save_pth

Files = Mapping[str, bytes]  # name to content, of files that are read together


def tiny() -> Weights:
    rows = (
        Conv("conv1", 4, 3, stride=2),
        Relu("relu1"),
        Lrn("norm1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 4, 3, padding=1, groups=2),
        Fc("fc3", 6),
        Dropout("drop3"),
        Fc("fc4", 3),
        Softmax("prob"),
    )
    spec = Spec(name="tiny", source="a test", input=(3, 12, 12), rows=rows)
    return Weights(
        spec=spec,
        classes=unnamed_classes(3),
        preprocessing=Preprocessing(resize=16, crop=12, mean_image=np.full((3, 16, 16), 120, np.float32)),
        tensors=random_tensors(spec),
        recipe={"name": "a recipe"},
        errors=({"data": "d", "split": "val", "views": "center", "top1_error": 0.5, "top5_error": None},),
        probe={"logits": [0.5] * 3, "crc32": {"fc3.weight": "00000000"}},
        licence="MIT",
    )


def random_tensors(spec: Spec) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in tensor_shapes(spec).items()}


def written(write: Callable[..., object], *arguments: Any, name: str) -> Files:
    """The files that `write(path, *arguments)` leaves."""
    with TemporaryDirectory() as folder:
        write(Path(folder, name), *arguments)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def safetensors() -> list[Files]:
    weights = tiny()
    plain = replace(weights, preprocessing=Preprocessing(resize=(16, 16), crop=12, mean=(1.0, 2.0, 3.0)), probe=None)
    return [written(save_weights, each, name="tiny.safetensors") for each in (weights, plain)]


def packed() -> list[Files]:
    weights, codebook = tiny(), np.array([0, -0.1, 0.1, 0.2], np.float16)
    coded: dict[str, Any] = {
        key: Coded((np.arange(tensor.size) % 4).astype(np.uint8).reshape(tensor.shape), codebook)
        if key.endswith(".weight")
        else tensor
        for key, tensor in weights.tensors.items()
    }
    return [written(save_packed, weights, coded, name="small.safetensors")]


def onnx() -> list[Files]:
    from alexnet.export.onnx import onnx_graph

    graph = onnx_graph(tiny())
    return [{"net.onnx": each.serialize()} for each in (graph, _quantized(graph), onnx_graph(tiny(), uint8_input=True))]


def _quantized(graph: Graph) -> Graph:
    """The graph with whole numbers and scales in it, as int8 models have them."""
    key, scale = "fc3.weight", np.full(6, 0.01, np.float32)
    whole = np.rint(graph.initializers[key] * 100).astype(np.int8)
    return replace(graph, initializers={**graph.initializers, key: whole, f"{key}.scale": scale})


def openvino() -> list[Files]:
    from alexnet.export.openvino import save_openvino

    return [written(save_openvino, tiny(), name="net.xml")]


def pth() -> list[Files]:
    import torch

    keys = {ours: theirs for theirs, ours in ROWS.items()}
    state = {}
    for key, array in random_tensors(NETS["one-weird-trick"].with_classes(3)).items():
        row, _, part = key.rpartition(".")
        state[f"{keys[row]}.{part}"] = torch.from_numpy(array)
    halves = {key: torch.nn.Parameter(tensor.half()) for key, tensor in state.items()}

    def save(path: Path, held: object, protocol: int = 2) -> None:
        torch.save(held, path, pickle_protocol=protocol)

    files = [written(save, held, name="net.pth") for held in (state, {"state_dict": halves, "epoch": 3})]
    return [*files, written(save, state, 4, name="net.pth"), written(save_pth, tiny(), name="net.pth")]


def compressed() -> list[Files]:
    """Of Deep Compression's AlexNet: each layer has as many entries as this share of its weights."""
    return [{"small.net": _compressed_net(every)} for every in (1, 2, 1000)]


def _compressed_net(every: int) -> bytes:
    shapes = tensor_shapes(NETS["caffe"])
    weights = [shapes[key] for key in shapes if key.endswith(".weight")]
    counts = [int(np.prod(shape)) // every for shape in weights]
    parts = [np.array(counts, "<u4").tobytes()]
    for shape, count in zip(weights, counts, strict=True):
        codes = count if len(shape) == 4 else -(-count // 2)
        codebook = np.linspace(0, 1, 256 if len(shape) == 4 else 16, dtype="<f4").tobytes()
        parts += [codebook, bytes(4 * shape[0]), bytes([0x11]) * codes, bytes(-(-count // 2))]
    return b"".join(parts)


_HEAD = "[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n"
_TAIL = (
    "[fc]\ntype=fc\ninputs={}\noutputs=4\ninitW=0.1\n[probs]\ntype=softmax\ninputs=fc\n"
    "[cost]\ntype=cost.{}\ninputs=labels,probs\n"
)
_EVERY_LAYER = (
    _HEAD
    + "[DEFAULT]\nchannels=3\n[conv]\ntype=conv\ninputs=data\nfilters=4\nfilterSize=3\npadding=1\ninitW=%(std)s\n"
    + "neuron=relu\nstd=0.1 ; why\n[sparse]\ntype=conv\ninputs=data\nfilters=2\ngroups=3\nfilterSize=3\nrandSparse=1\n"
    + "initW=0.1\n[local]\ntype=local\ninputs=data\nfilters=2\nfilterSize=5\nstride=4\ninitW=0.1\ninitWFunc=f.g(3)\n"
    + "".join(f"[{way}]\ntype=pool\npool={way}\ninputs=data\nsizeX=3\nstride=2\n" for way in ("max", "avg", "rand"))
    + "".join(f"[{kind}]\ntype={kind}\ninputs=data\nsize=3\n" for kind in ("cmrnorm", "rnorm", "cnorm"))
    + "[blur]\ntype=blur\ninputs=data\nfilterSize=3\nstdev=1\n[nails]\ntype=nailbed\ninputs=data\nstride=2\n"
    + "[href]\ntype=href\ninputs=data\n[sum]\ntype=eltsum\ninputs=rnorm,cnorm,blur\ncoeffs=1,0.5,\n 2\n"
    + "[both]\ntype=concat\ninputs=sum,href,cmrnorm\n[drop]\ntype=hs\ninputs=both\nkeep=0.5\n"
    + "[neuron]\ntype=neuron\ninputs=drop\nneuron=logistic\n"
    + _TAIL.format("neuron", "crossent2")
)
_EVERY_PARAMETER = (
    "[DEFAULT]\nepsW=0.01\nepsB=0.02\nmomW=0.9\nmomB=0.9\nwc=0.0005\n[conv]\nschedW=dexp[tgtFactor=250,numSteps=4]\n"
    "[sparse]\nwball=2\n[local]\nwcNormMin=1\nwcNormMax=2\n[fc]\nschedW=linear[250]\nschedB=jdexp[250,4]\n[rand]\ndoMax=1\n[drop]\n"
    "enable=0\n[cmrnorm]\nscale=0.1\npow=0.75\nminDiv=2\n"
)


def definitions() -> list[Files]:
    from tests.interop.cuda_convnet.test_trained import NET, NORMS
    from tests.weights.test_cuda_convnet import TWO_TOWERS

    nets = Path(__file__).parents[1] / "interop" / "cuda_convnet" / "nets"
    rates = "epsW={0}\nepsB=0.02\nmomW={0}\nmomB=0.9\nwc={0}\n"
    towers = "".join(f"[{name}]\n{rates.format(0.1)}" for name in ("conv1a", "conv1b", "conv2a", "conv2b"))
    towers += "".join(f"[{name}]\n{rates.format('0.1,0.1')}" for name in ("densea", "denseb", "fc"))
    norms = f"[DEFAULT]\n{rates.format(0.1)}{NORMS}[conv1]\n[local3]\n"
    norms += "".join(f"[{name}]\n{rates.format('0.1,0.1')}" for name in ("conv2", "fc"))
    texts = ((_EVERY_LAYER, _EVERY_PARAMETER), (NET, norms), (TWO_TOWERS, towers))
    written = [{"net.cfg": net.encode(), "params.cfg": parameters.encode()} for net, parameters in texts]
    names = {"net.cfg": "layers-145.cfg", "params.cfg": "layer-params-145.cfg"}
    return [*written, {name: (nets / file).read_bytes() for name, file in names.items()}]


def checkpoints() -> list[Files]:
    from tests.interop.cuda_convnet.test_trained import NET, NORMS, checkpoint_of
    from tests.weights.test_cuda_convnet import TWO_TOWERS, layer_of

    held: list[Any] = []
    for text, norms, size in ((NET, NORMS, 16), (TWO_TOWERS, "", 8)):
        definition = define(
            parse_sections(text, "net.cfg"), parse_sections(norms, "p.cfg"), name="net", source="test", input_size=size
        )
        if norms:
            held.append(dict(checkpoint_of(definition, random_tensors(definition.spec)).layers))
            continue
        layers = {name: layer_of(name, definition, random_tensors(definition.spec)) for name in definition.sections}
        layers["data"]["outputs"] = 3 * size * size
        held.append([{"name": name, **layer} for name, layer in layers.items()])
    states = [{"model_state": {"layers": layers, "epoch": 3, "batchnum": 1}, "op": None} for layers in held]
    plain = [pickle.dumps(state, protocol) for state in states for protocol in (2, 5)]
    old = plain[0][:-3] + b"(coptions\nOptionsParser\no}b" + plain[0][-2:]  # `op` was None
    return [{"net.1": content} for content in (*plain, old, gzip.compress(plain[0], 1, mtime=0), _zipped(plain[3]))]


def _zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def pickles() -> list[Files]:
    from tests.data.test_pickles import ARRAYS, VALUES

    small = {name: array.reshape(-1)[:300] for name, array in ARRAYS.items()}
    held = {
        "values": VALUES | {"long list": [1] * 300, "long dict": {"a": 1}},
        "arrays": small,
        "number": np.float32(2),
    }
    return [{"batch": pickle.dumps(held, protocol)} for protocol in range(6)]
