"""Whole definitions: Caffe's two nets in every way that they are written, and what is no definition of a net."""

from contextlib import suppress
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from alexnet.arch import NETS
from alexnet.arch.rows import Fc, Logistic
from alexnet.arch.shapes import total_params
from alexnet.errors import InputError
from alexnet.interop.caffe.layers import MOST_BYTES
from alexnet.interop.caffe.prototxt import parse_prototxt, read_prototxt

pytest.importorskip("google.protobuf")

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 4 } }\n'


@pytest.mark.parametrize("use", ["deploy", "train_val"])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("net", ["caffe", "caffenet"])
def test_caffes_nets_are_ours(written, net: str, old: bool, use: str) -> None:
    found = parse_prototxt(written(net, old=old, use=use), file="net.prototxt")
    assert found.spec == NETS[net]
    assert total_params(found.spec) == 60_965_224
    assert found.layers == {name: name for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")}


def test_a_net_with_other_initial_weights_is_not_ours_by_name(written) -> None:
    text = written("caffe", old=False, use="train_val").replace("std: 0.005", "std: 0.02")
    spec = parse_prototxt(text, file="net.prototxt").spec
    assert (spec.name, spec.source) == ("caffe of mine", "Caffe, net.prototxt")
    assert [row for row in spec.rows if row != NETS["caffe"][row.name]] == [
        Fc("fc6", 4096, weight_std=0.02, bias_init=0.1),
        Fc("fc7", 4096, weight_std=0.02, bias_init=0.1),
    ]


def test_another_number_of_classes_is_still_ours(written) -> None:
    text = written("caffenet", old=True, use="deploy").replace("num_output: 1000", "num_output: 20")
    assert parse_prototxt(text, file="net.prototxt").spec == NETS["caffenet"].with_classes(20)


@pytest.mark.parametrize("old", [False, True])
def test_a_data_layer_says_what_is_done_to_images(written, old: bool) -> None:
    images = parse_prototxt(written("caffe", old=old, use="train_val"), file="net.prototxt").images
    assert (images.shape, images.mean, images.mean_file) == ((3, 227, 227), (104.0, 117.0, 123.0), "")
    text = written("caffe", old=old, use="train_val", means='mean_file: "some/where/mean.binaryproto" scale: 0.5')
    images = parse_prototxt(text, file="net.prototxt").images
    assert (images.mean, images.mean_file, images.scale) == ((), "mean.binaryproto", 0.5)


def test_a_net_with_data_for_training_alone_is_read_so(written) -> None:
    text = written("caffe", old=False, use="train_val").replace("phase: TEST", "stage: 'never'")
    assert parse_prototxt(text, file="net.prototxt").spec == NETS["caffe"]


def test_in_place_layers_and_copies_are_followed() -> None:
    text = (
        f"{INPUT}{FC}"
        'layer { name: "relu" type: "ReLU" bottom: "fc" top: "fc" }\n'
        'layer { name: "split" type: "Split" bottom: "fc" top: "one" top: "two" }\n'
        'layer { name: "8/x" type: "InnerProduct" bottom: "two" top: "8" inner_product_param { num_output: 3 } }\n'
        'layer { name: "aside" type: "InnerProduct" bottom: "one" top: "x" inner_product_param { num_output: 3 } }\n'
        'layer { name: "swallow" type: "Silence" bottom: "x" }\n'
        'layer { name: "prob" type: "Softmax" bottom: "8" top: "prob" }\n'
    )
    found = parse_prototxt(text, file="net.prototxt")
    assert [row.name for row in found.spec.rows] == ["fc", "relu", "_8_x", "prob"]
    assert all(row.inputs == () for row in found.spec.rows)
    assert found.layers == {"fc": "fc", "8/x": "_8_x"}


def test_a_net_may_end_in_logits_or_sigmoids() -> None:
    assert [row.kind for row in parse_prototxt(INPUT + FC, file="n").spec.rows] == ["fc", "softmax"]
    sigmoid = 'layer { name: "s" type: "Sigmoid" bottom: "fc" top: "s" }'
    loss = 'layer { name: "s" type: "SigmoidCrossEntropyLoss" bottom: "fc" bottom: "label" top: "s" }'
    label = 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }'
    for end in (sigmoid, label + loss):
        assert isinstance(parse_prototxt(INPUT + FC + end, file="n").spec.rows[-1], Logistic)


def test_hostile_texts_take_little_time() -> None:
    """As long as they may be: layers without end, numbers without end, what is not in the schema."""
    for part in ("layer{}", "input_dim:1 ", "a{b:[1,2]}", "input:'' "):
        line = part * ((1 << 14) // len(part)) + "\n"
        start = perf_counter()
        with pytest.raises(InputError):
            parse_prototxt(line * (MOST_BYTES // len(line)), file="n.prototxt")
        assert perf_counter() - start < 30
    with pytest.raises(InputError, match="it has a line of over 16,384 characters"):
        parse_prototxt(" " * 16_385, file="n.prototxt")


REFUSED = {
    "nothing": ("", "n.prototxt is no definition of a net: it has no layers"),
    "no protobuf text": ("just words", r"no definition of a net that can be read \(line 1:"),
    "an open brace": ("layer {", "no definition of a net that can be read"),
    "deeply nested": ("a {\n" * 5000, "nested too deeply"),
    "both syntaxes": (f"{INPUT}layers {{ type: RELU }}", "mixes layers of both syntaxes"),
    "of 2013": ("layers { layer { name: 'conv1' type: 'conv' } }", "upgrade_net_proto_text"),
    "an unknown old type": ("layers { type: FANCY }", "no value named FANCY"),
    "an unknown type": (f"{INPUT}layer {{ name: 'x' type: 'BatchNorm' }}", "layer x, type: layers of type 'BatchNorm'"),
    "no images": (FC.replace("data", "x"), "layer fc, bottom: reads x, which no layer above it gives"),
    "no input at all": ("layer { name: 'x' type: 'Silence' }", "does not say what images the net takes"),
    "nothing but images": (INPUT, "the rows must end with an fc row"),
    "two data layers": (
        f"{INPUT}layer {{ name: 'b' type: 'Data' top: 'b' transform_param {{ crop_size: 8 }} }}",
        "layer b: a second source of images",
    ),
    "an input without sides": (
        "input: 'data' input_dim: 1 layer { name: 'x' type: 'ReLU' }",
        "layer data, input_dim: needs four numbers",
    ),
    "a negative side": (INPUT.replace("dim: 8", "dim: -8"), r"layer data, input_param.shape: .* not \[1, 3, -8, -8\]"),
    "no image": (INPUT.replace("dim: 8", "dim: 8000000"), "input_param.shape: needs four numbers"),
    "a name of two lines": (
        INPUT + FC.replace('"data"', '"a\\nb"').replace('"fc"', '"f\\nc"'),
        "layer f c, bottom: reads a b,",
    ),
    "doubling without end": (
        INPUT + 'layer { name: "c" type: "Concat" bottom: "data" bottom: "data" top: "data" }\n' * 900 + FC,
        "layer c: gives .* for one image, more than any net",
    ),
    "too many maps apart": (
        INPUT
        + 'layer { name: "c" type: "Convolution" bottom: "data" top: "data" '
        + "convolution_param { num_output: 100000 kernel_size: 8 } }"
        + 'layer { name: "s" type: "Slice" bottom: "data" top: "a" top: "b" }',
        "layer s: cuts 100,000 maps apart",
    ),
    "a database of unknown images": (
        "layer { name: 'd' type: 'Data' top: 'data' }",
        "layer d, transform_param: how large images are stands in the database alone; write a crop_size",
    ),
    "two ends": (
        f"{INPUT}{FC}layer {{ name: 'p' type: 'Softmax' bottom: 'fc' top: 'p' }}"
        "layer { name: 'q' type: 'Softmax' bottom: 'data' top: 'q' }",
        "layer q: a second end, beside p",
    ),
    "a loss without labels": (
        f"{INPUT}{FC}layer {{ name: 'l' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' }}",
        "layer l, bottom: needs logits, and labels",
    ),
    "one name twice": (f"{INPUT}{FC}{FC}", "layer fc, name: a second layer of this name"),
    "rules both ways": (
        "layer { name: 'x' type: 'ReLU' include { phase: TEST } exclude { phase: TRAIN } }",
        "layer x: has rules to include and to exclude it",
    ),
    "too many layers": ("layer { type: 'Silence' }\n" * 1025, "over 1,024 layers"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_is_refused_in_one_line(what: str) -> None:
    text, words = REFUSED[what]
    with pytest.raises(InputError, match=words) as caught:
        parse_prototxt(text, file="n.prototxt")
    assert "\n" not in str(caught.value)


def test_files_are_named(tmp_path: Path, written) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(written("caffe", old=False, use="deploy"), encoding="utf-8")
    assert read_prototxt(path).spec == NETS["caffe"]
    for content, words in (
        (b"\xff\xfe", "no text in UTF-8"),
        (b"#" * (1 << 18) + b"\n", "longer than 262,144 bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"net\.prototxt is no definition of a net: .*{words}"):
            read_prototxt(path)


def test_cut_and_spoiled_files_never_do_worse_than_an_error(written) -> None:
    text, rng = written("caffe", old=False, use="train_val"), np.random.default_rng(0)
    for stop in range(0, len(text), 101):
        with suppress(InputError):
            parse_prototxt(text[:stop], file="n.prototxt")
    for _ in range(200):
        spoiled = list(text)
        for place in rng.integers(len(text), size=3):
            spoiled[place] = chr(rng.integers(32, 127))
        with suppress(InputError):
            parse_prototxt("".join(spoiled), file="n.prototxt")
