"""Keys of a definition that Caffe does not know are refused, and only those."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.errors import InputError
from alexnet.interop.caffe.layers import parse_layers
from alexnet.interop.caffe.prototxt import parse_prototxt, read_prototxt

pytest.importorskip("google.protobuf")

NET = """name: "net"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 12, 12] } } }
layer {
  name: "conv"
  type: "Convolution" bottom: "data" top: "conv"  # a comment: with { a: brace
  convolution_param { num_output: 4 kernel_size: 3 SAID }
  HERE
}
layer { name: 'fc "8" {' type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param < num_output: 5 MORE > }
"""


def net(*, said: str = "", here: str = "", more: str = "") -> str:
    return NET.replace("SAID", said).replace("HERE", here).replace("MORE", more)


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_prototxt(text, file="n.prototxt")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (net(said="strid: 2"), "n.prototxt, line 6, layer conv, convolution_param.strid: Caffe has no such key here; "
         "did you mean stride?"),
        (net().replace("num_output: 4", "num_ouput: 4"), "convolution_param.num_ouput: Caffe has no such key here; "
         "did you mean num_output?"),
        (net(said="weight_filler { typ: 'gaussian' }"), "convolution_param.weight_filler.typ: Caffe has no such key"),
        (net(here="param: [{ lr_mult: 1 }, { lr_mul: 2 }]"), "line 7, layer conv, param.lr_mul: Caffe has no such key"),
        (net(here="convolution_parm { num_output: 5 }"), "layer conv, convolution_parm: Caffe has no such key here; "
         "did you mean convolution_param?"),
        (net(here="blobs_lr: 1"), "layer conv, blobs_lr: Caffe has no such key here"),
        (net(more="bias_trem: false"), 'line 9, layer fc "8" {, inner_product_param.bias_trem: Caffe has no such key'),
        (net().replace("layer { name: \"data\"", "layr { name: \"data\""), "n.prototxt, line 2, layr: Caffe has no "
         "such key here; did you mean layer"),
        (net() + "inputs: 'data'", "n.prototxt, line 10, inputs: Caffe has no such key here; did you mean input?"),
        ("layers { name: 'x' type: RELU param { lr_mult: 1 } relu: 1 }", "layer x, relu: Caffe has no such key here"),
    ],
)  # fmt: skip
def test_a_key_that_caffe_has_not_is_refused_by_its_place(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize(
    "here",
    [
        "param { name: 'w' lr_mult: 1 decay_mult: 0 share_mode: PERMISSIVE } param { lr_mult: 2 }",
        "phase: TEST loss_weight: 1 propagate_down: true include { stage: 'a' not_stage: 'b' max_level: 1 }",
        "loss_param { ignore_label: 1 [some.extension]: 2 of: { it: 3 } } python_param { module: 'm' layer: 'l' }",
        "blobs { shape { dim: 1 } data: [1.5, -2e-3, nan, -inf] } top: 'a' 'b' \"c\",",
        "transform_param: { mirror: true; force_color: false }",
        "param: [{ lr_mult: 1 }, < lr_mult: 2 >] loss_weight: [1, 2]",
    ],
)
def test_what_changes_no_answer_is_passed_over(here: str) -> None:
    said = "engine: CUDNN force_nd_im2col: false weight_filler { type: 'gaussian' std: -1e-2 min: 0 max: 1 }"
    assert parse_layers(net(here=here, said=said), "n").layers
    old = "layers { name: 'x' type: RELU blobs_lr: 1 weight_decay: 1 param: 'w' blob_share_mode: STRICT }"
    assert parse_layers(f"force_backward: true debug_info: 1 state {{ phase: TEST }} {old}", "n").layers


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("use", ["deploy", "train_val"])
@pytest.mark.parametrize("name", ["caffe", "caffenet"])
def test_caffes_own_nets_have_no_strange_keys(written: Callable[..., str], name: str, use: str, old: bool) -> None:
    text = written(name, old=old, use=use)
    assert parse_prototxt(text, file="n.prototxt").spec.name == name
    spoiled = text.replace("dropout_ratio", "dropout_ration", 1)
    assert "layer drop6, dropout_param.dropout_ration: Caffe has no such key here; did you mean dropout_ratio?" in (
        refused(spoiled)
    )


def test_a_solver_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "solver.prototxt"
    path.write_text('net: "models/train_val.prototxt"\ntest_iter: 1000\nbase_lr: 0.01\nlr_policy: "step"\n')
    with pytest.raises(InputError, match=r"is a solver's, not a net's; give .* names, models/train_val\.prototxt$"):
        read_prototxt(path)
    assert refused("base_lr: 0.01").endswith("give the net that it names")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("type: 'Softmax' softmax_param { axis: 0 }", "layer x, softmax_param.axis: 0: classes lie along axis 1 here"),
        ("type: 'SoftmaxWithLoss' softmax_param { axis: 2 }", "softmax_param.axis: 2"),
        ("type: 'Flatten' flatten_param { axis: 2 }", "layer x, flatten_param.axis: 2: all but the first axis"),
        ("type: 'Flatten' flatten_param { end_axis: 2 }", "layer x, flatten_param.end_axis: 2: all but the first axis"),
    ],
)
def test_axes_that_would_be_another_net_are_refused(layer: str, words: str) -> None:
    assert words in refused(f"{net()} layer {{ name: 'x' bottom: 'fc' top: 'x' {layer} }}")


def test_usual_axes_are_read() -> None:
    ends = "layer { name: 'f' type: 'Flatten' bottom: 'fc' top: 'f' flatten_param { axis: 1 end_axis: -1 } }"
    ends += "layer { name: 'x' bottom: 'f' top: 'x' type: 'Softmax' softmax_param { engine: CAFFE axis: 1 } }"
    assert parse_prototxt(net() + ends, file="n").spec.num_classes == 5
