"""Definition files: every kind of layer, and every mistake by file, line, layer and key."""

from pathlib import Path
from time import process_time

import pytest

from alexnet.arch.rows import AvgPool, Dropout, Lrn, MaxPool, RandomPool, SameMapNorm, Sum
from alexnet.arch.shapes import measure, total_params
from alexnet.arch.spec import Spec
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.config import parse_sections, read_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.interop.cuda_convnet.files import read_net
from alexnet.nn import create

NETS = Path(__file__).parent / "nets"

HEAD = "[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n"
CONV = (
    "[conv]\ntype=conv\ninputs=data\nchannels=3\nfilters=16\nfilterSize=3\npadding=1\nstride=1\ninitW=0.1\n"
    "partialSum=0\ngpu=0\n"
)
FC = "[fc]\ntype=fc\ninputs={read}\noutputs=10\ninitW=0.1\n"
TAIL = "[probs]\ntype=softmax\ninputs=fc\n[cost]\ntype=cost.logreg\ninputs=labels,probs\n"


def net(layers: str, parameters: str = "", *, read: str = "conv") -> Spec:
    tail = TAIL if "[y]" not in layers else ""  # a cost of its own
    text = HEAD + CONV + layers + FC.format(read=read) + tail
    return define(parse_sections(text, "net.cfg"), parse_sections(parameters, "p.cfg"), name="net", source="test").spec


LAYERS = {
    "max": (
        "[x]\ntype=pool\npool=max\ninputs=conv\nchannels=16\nsizeX=3\nstride=2",
        MaxPool("x", 3, 2, inputs=("conv",)),
    ),
    "avg": (
        "[x]\ntype=pool\npool=avg\ninputs=conv\nchannels=16\nsizeX=3\nstride=2",
        AvgPool("x", 3, 2, inputs=("conv",)),
    ),
    "rand": (
        "[x]\ntype=pool\npool=rand\ninputs=conv\nchannels=16\nsizeX=2\nstride=2",
        RandomPool("x", 2, 2, inputs=("conv",)),
    ),
    "cmrnorm": ("[x]\ntype=cmrnorm\ninputs=conv\nchannels=16\nsize=5", Lrn("x", inputs=("conv",))),
    "rnorm": (
        "[x]\ntype=rnorm\ninputs=conv\nchannels=16\nsize=5",
        SameMapNorm("x", size=5, alpha=1e-3, inputs=("conv",)),
    ),
    "rnorm before 2012": (
        "[x]\ntype=rnorm\ninputs=conv\nchannels=16\nsizeX=3\nscale=0.5\npow=0.25",
        SameMapNorm("x", size=3, alpha=0.5, beta=0.25, inputs=("conv",)),
    ),
    "hs": ("[x]\ntype=hs\ninputs=conv\nkeep=0.75", Dropout("x", 0.25, inputs=("conv",))),
    "eltsum": (
        "[x]\ntype=eltsum\ninputs=conv,conv\ncoeffs=1,-0.5",
        Sum("x", inputs=("conv", "conv"), coefficients=(1.0, -0.5)),
    ),
}


@pytest.mark.parametrize(("layer", "row"), LAYERS.values(), ids=LAYERS)
def test_a_layer_becomes_its_row(layer: str, row: object) -> None:
    assert net(f"{layer}\n", read="x")["x"] == row


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("[x]\ntype=cnorm\ninputs=conv\nchannels=16\nsize=5", "contrast_norm"),
        ("[x]\ntype=concat\ninputs=conv,conv", "concat"),
        ("[x]\ntype=neuron\nneuron=logistic\ninputs=conv", "logistic"),
        ("[x]\ntype=blur\ninputs=conv\nchannels=16\nfilterSize=9\nstdev=4", "blur"),
        ("[x]\ntype=nailbed\ninputs=conv\nchannels=16\nstride=4", "subsample"),
        ("[x]\ntype=href\ninputs=conv\nchannels=16", "mirror"),
        ("[x]\ntype=local\ninputs=conv\nchannels=16\nfilters=4\nfilterSize=3\npadding=1\ninitW=0.1", "local"),
    ],
)
def test_other_layers_are_rows_too(layer: str, kind: str) -> None:
    assert net(f"{layer}\n", read="x")["x"].kind == kind


def test_a_neuron_is_a_row_that_others_read() -> None:
    spec = net("[x]\ntype=fc\ninputs=conv\noutputs=8\ninitW=0.1\nneuron=relu\n", read="x")
    assert spec["fc"].inputs == ("x_neuron",)


def test_constants_come_from_the_parameter_file() -> None:
    layer = "[x]\ntype=cmrnorm\ninputs=conv\nchannels=16\nsize=9\n"
    norm = net(layer, "[x]\nscale=0.001\npow=0.5\n", read="x")["x"]
    assert norm == Lrn("x", size=9, alpha=0.001, beta=0.5, k=1.0, inputs=("conv",))
    drop = net("[x]\ntype=hs\ninputs=conv\nkeep=0.5\n", "[x]\nenable=false\n", read="x")["x"]
    assert drop == Sum("x", inputs=("conv",), coefficients=(0.5,))


def test_sparse_groups_are_the_same_net_every_time() -> None:
    layer = (
        "[x]\ntype=conv\ninputs=conv\nchannels=16\nfilters=4\ngroups=4\nfilterSize=3\nrandSparse=1\nfilterChannels=8\n"
        "initW=0.1\npartialSum=0\n"
    )
    spec, again = net(layer, read="x"), net(layer, read="x")
    assert spec == again
    channels = spec["x_select"].channels  # type: ignore[attr-defined]
    assert sorted(channels) == sorted(list(range(16)) * 2)
    assert all(len(set(channels[start : start + 8])) == 8 for start in range(0, 32, 8))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("[x]\ninputs=conv", "line 18, layer x: needs type"),
        ("[x]\ntype=resize\ninputs=conv", "line 19, layer x, type: layers of type resize are in no released file"),
        ("[x]\ntype=poool\ninputs=conv", "line 19, layer x, type: unknown type 'poool'; known: data, conv"),
        ("[x]\ntype=hs\ninputs=conf\nkeep=1", "line 20, layer x, inputs: reads conf, which no layer above"),
        ("[x]\ntype=hs\ninputs=conv\nkeep=half", "line 21, layer x, keep: 'half' is not a number"),
        ("[x]\ntype=hs\ninputs=conv\nkeep=0", "line 21, layer x, keep: 0 is no share of units"),
        ("[x]\ntype=hs\nkeep=1", "layer x: needs inputs"),
        (
            "[x]\ntype=pool\npool=max\ninputs=data\nchannels=1\nsizeX=3\nstride=2",
            "channels: 1 for data, which has 3, as all images have here, grey ones too",
        ),
        ("[x]\ntype=pool\npool=max\ninputs=conv\nchannels=8\nsizeX=3\nstride=2", "channels: 8 for conv, which has 16"),
        ("[x]\ntype=pool\npool=maxabs\ninputs=conv\nchannels=16\nsizeX=3\nstride=2", "pool: 'maxabs' is none of max"),
        ("[x]\ntype=pool\npool=max\ninputs=conv\nchannels=16\nsizeX=2\nstride=3", "windows of 2, 3 apart, do"),
        ("[x]\ntype=pool\npool=max\ninputs=conv\nchannels=16\nsizeX=3\nstride=2\noutputsX=9", "outputsX: 9, where"),
        ("[x]\ntype=fc\ninputs=conv\noutputs=8\ninitW=0.1,0.1", "initW: 2 items for 1 inputs"),
        ("[x]\ntype=fc\ninputs=conv\noutputs=8", "layer x: needs initW"),
        ("[x]\ntype=fc\ninputs=conv\noutputs=0\ninitW=1", "outputs: 0 is too small, it must be 1 or more"),
        ("[x]\ntype=fc\ninputs=conv\noutputs=8\ninitW=1\nneuron=tanh[1,1]", "neuron: 'tanh[1,1]' is in no released"),
        ("[x]\ntype=fc\ninputs=conv\noutputs=8\ninitW=1\nweightSource=fc", "weightSource: "),
        ("[x]\ntype=cmrnorm\ninputs=conv\nchannels=16\nsize=5\nblocked=true", "blocked: windows that do not overlap"),
        ("[x]\ntype=blur\ninputs=conv\nchannels=16\nfilterSize=4\nstdev=1", "filterSize: 4 is none of 3, 5, 7, 9"),
        ("[x]\ntype=neuron\nneuron=square\ninputs=conv", "neuron: 'square' is in no released file"),
        ("[x]\ntype=data\ndataIdx=2", "dataIdx: there are images (0) and labels (1) alone"),
        ("[x]\ntype=cost.logreg\ninputs=labels,conv", "layer cost: a second cost, beside x"),
        ("[x]\ntype=local\ninputs=conv\nchannels=16\nfilters=4\ngroups=2\nfilterSize=3\ninitW=1", "groups: groups of"),
        ("[x]\ntype=conv\ninputs=conv\nchannels=16\nfilters=4\nfilterSize=99\ninitW=1", "layer x: net: row x leaves"),
        (
            "[x]\ntype=conv\ninputs=conv\nchannels=16\nfilters=1\ngroups=99\nfilterSize=3\nrandSparse=1\ninitW=1",
            "filterChannels: 99 groups of 1 do not use each of 16 channels equally",
        ),
        (
            "[x]\ntype=conv\ninputs=conv\nchannels=16\nfilters=1\ngroups=10000000000\nfilterSize=3\nrandSparse=1\n"
            "filterChannels=16\ninitW=1", "groups: 10000000000 groups of 16 are more than 65,536 channels",
        ),
        ("[x]\ntype=eltsum\ninputs=labels\n[y]\ntype=cost.logreg\ninputs=x", "layer x, inputs: reads labels, as costs"),
        ("[x]\ntype=eltsum\ninputs=labels,conv\ncoeffs=5,7", "layer x, coeffs: of labels and answers only"),
        ("[x]\ntype=conv\ninputs=labels,nosuch\nfilters=blah", "layer x, inputs: reads labels, as costs do"),
        ("[x]\ntype=neuron\nneuron=relu\ninputs=conv", "layer x: is read by no layer"),
        ("[y]\ntype=cost.logreg\ninputs=labels,data", "layer y, inputs: needs labels and the layer"),
        ("filters=%(nothing)s", "filters: '%(nothing)s' refers to nothing"),
        ("just words", "net.cfg, line 18: 'just words' is neither [section] nor key=value"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_line_layer_and_key(layer: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        net(f"{layer}\n")
    assert str(raised.value).startswith("net.cfg, line ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("cost", "end"), [("logreg", "neuron=logistic"), ("sum2", ""), ("crossent2", "")])
def test_a_cost_judges_what_it_is_for(cost: str, end: str) -> None:
    """Softmax units by logreg, logistic units by the others: in training they come from the logits."""
    kind = "neuron" if end else "softmax"
    tail = f"[probs]\ntype={kind}\ninputs=fc\n{end}\n[cost]\ntype=cost.{cost}\ninputs=labels,probs\n"
    text = HEAD + CONV + FC.format(read="conv") + tail
    with pytest.raises(InputError, match=r"layer cost, inputs: judges a \w+ here, and probs is a"):
        define(parse_sections(text, "net.cfg"), {}, name="net", source="test")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("[other]\nepsW=1", r"layer x: p\.cfg has no section \[x\], in which its constants stand"),
        ("[x]\npow=0.75", "layer x: needs scale"),
        ("[x]\nscale=0.1", "layer x: needs pow"),
    ],
)
def test_a_parameter_file_has_the_constants_of_every_norm(parameters: str, words: str) -> None:
    """Those of net 145 are taken only where there is no such file."""
    with pytest.raises(InputError, match=words):
        net("[x]\ntype=cmrnorm\ninputs=conv\nchannels=16\nsize=5\n", parameters, read="x")


def test_the_size_of_images_is_told_by_the_first_stride_of_any_input() -> None:
    two = CONV.replace("inputs=data", "inputs=data,data").replace("channels=3", "channels=3,3")
    for key in ("filters=16", "filterSize=3", "padding=1", "stride=1", "initW=0.1"):
        two = two.replace(f"\n{key}\n", f"\n{key},{key.partition('=')[2]}\n")
    text = HEAD + two + FC.format(read="conv") + TAIL
    assert define(parse_sections(text, "net.cfg"), {}, name="net", source="test").spec.input == (3, 32, 32)


def test_a_file_that_is_no_definition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.cfg"
    for unreadable in (path, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_sections(unreadable)
    for content in (b"\0\1\2", b"x" * (2 << 20)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is no definition of a net"):
            read_sections(path)
    with pytest.raises(InputError, match=r"net\.cfg is no definition of a net: it has no cost layer"):
        define(parse_sections(HEAD, "net.cfg"), {}, name="net", source="test")


def test_a_net_may_not_have_any_number_of_layers_or_rows() -> None:
    """Each is looked up among all: what a megabyte of them took had no end."""
    with pytest.raises(InputError, match="has 606 layers; a net may have 512"):
        net("".join(f"[x{number}]\ntype=data\ndataIdx=1\n" for number in range(600)))
    inputs, stds = ",".join(["data"] * 600), ",".join(map(str, range(601)))  # which differ: each needs a row
    with pytest.raises(InputError, match="layer x: is beyond the 512 rows that a net may have"):
        net(f"[x]\ntype=fc\ninputs={inputs},conv\noutputs=2\ninitW={stds}\n")


def test_a_net_of_as_many_rows_as_may_be_is_read_at_once(tmp_path: Path) -> None:
    """Each layer reads the one above twice: half a minute, when every look at a row's inputs went through all rows."""
    reads = ["conv", *(f"x{number}" for number in range(500))]
    layers = "".join(f"[x{number}]\ntype=concat\ninputs={reads[number]},conv\n" for number in range(500))
    (tmp_path / "net.cfg").write_text(HEAD + CONV + layers + FC.format(read="x499") + TAIL)
    began = process_time()
    assert len(read_net(tmp_path / "net.cfg").spec.rows) == 503
    assert process_time() - began < 3


def test_a_net_of_our_tables_written_out_has_its_parameters() -> None:
    definition = define(read_sections(NETS / "layers-145.cfg"), {}, name="layers-145", source="test")
    assert total_params(definition.spec) == 60_965_224
    assert [shape.output for shape in measure(definition.spec)][-1] == (1000, 1, 1)
    assert sum(p.numel() for p in create("krizhevsky-145").parameters()) == 60_965_224
