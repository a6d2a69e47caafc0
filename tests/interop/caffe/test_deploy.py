"""Every net that Caffe can compute comes back as it was written; the others are refused by row."""

from dataclasses import replace

import pytest

from alexnet.arch import NETS
from alexnet.arch.rows import (
    AdaptiveAvgPool,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Fc,
    Local,
    Lrn,
    MaxPool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
    Sum,
    Tanh,
)
from alexnet.arch.spec import Spec
from alexnet.errors import InputError
from alexnet.interop.caffe.deploy import caffe_layers, write_prototxt
from alexnet.interop.caffe.prototxt import parse_prototxt
from alexnet.preprocess import Preprocessing

pytest.importorskip("google.protobuf")


def images(spec: Spec) -> Preprocessing:
    return Preprocessing(resize=spec.input[1] + 3, crop=spec.input[1], channel_order="BGR", mean=(1.0, 2.5, 3.0))


def net(*rows: Row) -> Spec:
    ends = (Fc("fc", 4), Softmax("prob"))
    return Spec(name="small", source="Caffe, small.prototxt", input=(3, 12, 12), rows=(*rows, *ends))


SMALL = {
    "towers": net(Conv("conv", 8, 3, groups=1), Lrn("norm", groups=2), Relu("relu"), SameMapNorm("within")),
    "2012": net(Conv("c", 8, 3, weight_std=0.01, bias_init=1.0), Dropout("drop", 0.3), Tanh("tanh"), Dropout("d", 0.5)),
    "branches": net(
        Conv("one", 8, 3, padding=1, has_bias=False),
        Conv("two", 8, 3, padding=1, inputs=("image",)),
        Sum("sum", inputs=("one", "two"), coefficients=(1.0, -0.5)),
        Concat("both", inputs=("sum", "two")),
        Sum("half", coefficients=(0.5,)),
    ),
    "pools": net(MaxPool("max", 3, 2), AvgPool("mean", 2, 2), MaxPool("down", 2, 1, rounding="floor")),
}  # fmt: skip


@pytest.mark.parametrize("spec", [*SMALL.values(), NETS["caffe"], NETS["caffenet"], NETS["cifar-18pct"]], ids=str)
def test_a_net_comes_back_equal(spec: Spec) -> None:
    text = write_prototxt(spec, images(spec))
    found = parse_prototxt(text, file=f"{spec.name}.prototxt")
    assert found.spec == spec
    assert found.images.preprocessing() == images(spec)


def test_a_mean_image_is_named() -> None:
    import numpy as np

    spec = NETS["caffe"]
    said = replace(images(spec), mean_image=np.zeros((3, 230, 230), np.float32))
    text = write_prototxt(spec, said, mean_file="net.binaryproto")
    assert parse_prototxt(text, file="n").images.mean_file == "net.binaryproto"


def test_what_caffe_has_no_layer_for_is_made_of_others() -> None:
    layers = caffe_layers(net(Lrn("norm", groups=3, alpha_over_size=False), Dropout("drop", 0.25), Relu("relu")))
    types = [layer.type for layer in layers]
    assert types[:7] == ["Slice", "LRN", "LRN", "LRN", "Concat", "Dropout", "Power"]
    assert layers[1].settings["lrn_param"]["alpha"] == 5 * 1e-4
    assert layers[6].settings["power_param"]["scale"] == 0.75
    assert layers[7].bottoms == layers[6].tops
    stacked = caffe_layers(net(Conv("a", 2, 1), Fc("b", 4, inputs=("a", "image"))))
    assert (stacked[1].type, stacked[1].bottoms, stacked[2].bottoms) == ("Concat", ("a", "data"), stacked[1].tops)
    pooled = caffe_layers(net(AdaptiveAvgPool("pool", 6)))[0].settings["pooling_param"]
    assert pooled == {"pool": "AVE", "kernel_size": 2, "stride": 2}


REFUSED: dict[str, tuple[Row, str]] = {
    "no such layer": (Local("x", 4, 3), "Caffe has no local"),
    "far edges alone": (Conv("x", 4, 3, stride=4, rounding="ceil"), r"it pads the far edges alone \(ceil\)"),
    "groups": (Fc("x", 6, groups=3), "Caffe has no fully connected layer of groups"),
    "even windows": (Lrn("x", size=4), "Caffe's windows are odd, and its are 4"),
    "even windows in a map": (SameMapNorm("x", size=2), "Caffe's windows are odd, and its are 2"),
    "windows apart": (MaxPool("x", 2, 3), "windows of 2, 3 apart"),
    "uneven regions": (AdaptiveAvgPool("x", 5), "its 5 regions a side of 12 x 12 pixels are not of one size"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_caffe_cannot_do_is_refused_by_row(what: str) -> None:
    row, words = REFUSED[what]
    spec = net(row)
    with pytest.raises(InputError, match=f"small cannot be written for Caffe: row x: {words}"):
        write_prototxt(spec, images(spec))


def test_a_row_may_not_be_called_as_caffes_input() -> None:
    with pytest.raises(InputError, match="row data is called as Caffe's input is"):
        caffe_layers(net(Relu("data")))
