"""Every kind of layer, and every setting that has no counterpart, by layer and key."""

from math import sqrt

import pytest

from alexnet.arch.rows import AvgPool, Concat, Conv, Dropout, Lrn, MaxPool, Row, SameMapNorm, Select, Sum, Tanh
from alexnet.arch.spec import Spec
from alexnet.errors import InputError
from alexnet.interop.caffe.prototxt import parse_prototxt

pytest.importorskip("google.protobuf")

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 dim: 8 dim: 8 } } }\n'
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 4 } }\n'


def layer(kind: str, said: str = "", *, bottom: str = "data", top: str = "x", name: str = "x") -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {said} }}\n'


def net(*layers: str) -> Spec:
    return parse_prototxt(INPUT + "".join(layers) + FC, file="n.prototxt").spec


CONV = "convolution_param {{ num_output: 6 {} }}"
ROWS: dict[str, tuple[str, str, Row]] = {
    "sides by name": (
        "Convolution",
        CONV.format("kernel_h: 3 kernel_w: 3 pad_h: 1 pad_w: 1"),
        Conv("x", 6, 3, padding=1),
    ),
    "sides as a list": (
        "Convolution",
        CONV.format("kernel_size: 3 kernel_size: 3 stride: 2"),
        Conv("x", 6, 3, stride=2),
    ),
    "no biases": ("Convolution", CONV.format("kernel_size: 1 bias_term: false"), Conv("x", 6, 1, has_bias=False)),
    "xavier": (
        "Convolution",
        CONV.format("kernel_size: 3 group: 2 weight_filler { type: 'xavier' }"),
        Conv("x", 6, 3, groups=2, weight_std=sqrt(1 / 18), bias_init=0.0),
    ),
    "msra": (
        "Convolution",
        CONV.format("kernel_size: 3 weight_filler { type: 'msra' } bias_filler { value: 0.1 }"),
        Conv("x", 6, 3, weight_std=sqrt(2 / 36), bias_init=0.1),
    ),
    "settings of speed": ("Convolution", CONV.format("kernel_size: 3 engine: CUDNN"), Conv("x", 6, 3)),
    "max": ("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", MaxPool("x", 3, 2)),
    "mean": ("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }", AvgPool("x", 3, 2)),
    "down": (
        "Pooling",
        "pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR }",
        MaxPool("x", 3, 2, rounding="floor"),
    ),
    "everywhere": ("Pooling", "pooling_param { pool: AVE global_pooling: true }", AvgPool("x", 8, 8)),
    "norm": ("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.25 k: 2 }", Lrn("x", size=3, alpha=0.5, beta=0.25)),
    "norm by default": ("LRN", "", Lrn("x", size=5, alpha=1.0, beta=0.75, k=1.0)),
    "norm of a map": (
        "LRN",
        "lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }",
        SameMapNorm("x", size=3, alpha=0.5, beta=0.75),
    ),
    "dropout": ("Dropout", "dropout_param { dropout_ratio: 0.25 }", Dropout("x", 0.25, scale_at="train")),
    "tanh": ("TanH", "", Tanh("x")),
    "a factor": ("Power", "power_param { scale: 3 }", Sum("x", coefficients=(3.0,))),
}


@pytest.mark.parametrize("what", ROWS)
def test_each_layer_is_a_row(what: str) -> None:
    kind, said, row = ROWS[what]
    assert net(layer(kind, said)).rows[0] == row


def test_dropout_and_its_factor_are_that_of_2012() -> None:
    dropout = layer("Dropout", "dropout_param { dropout_ratio: 0.25 }", top="d", name="d")
    assert net(dropout, layer("Power", "power_param { scale: 0.75 }", bottom="d")).rows[0] == Dropout("d", 0.25)
    in_place = layer("Power", "power_param { scale: 0.75 }", bottom="d", top="d") + layer("TanH", bottom="d")
    assert net(dropout, in_place).rows[:2] == (Dropout("d", 0.25), Tanh("x"))
    other = net(dropout, layer("Power", "power_param { scale: 0.5 }", bottom="d")).rows[:2]
    assert other == (Dropout("d", 0.25, scale_at="train"), Sum("x", coefficients=(0.5,)))


def test_maps_are_cut_apart_and_stacked() -> None:
    cut = 'layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { slice_point: 1 } }\n'
    stack = 'layer { name: "x" type: "Concat" bottom: "b" bottom: "a" top: "x" }\n'
    assert net(cut, stack).rows[:3] == (
        Select("a", (0,)),
        Select("b", (1, 2, 3), inputs=("image",)),
        Concat("x", inputs=("b", "a")),
    )
    added = (
        'layer { name: "x" type: "Eltwise" bottom: "a" bottom: "data" top: "x" eltwise_param { coeff: 1 coeff: -1 } }'
    )
    flat = 'layer { name: "a" type: "Flatten" bottom: "data" top: "a" }\n'
    assert net(flat, added).rows[0] == Sum("x", inputs=("image", "image"), coefficients=(1.0, -1.0))


def test_norms_of_equal_parts_become_one() -> None:
    cut = 'layer { name: "cut" type: "Slice" bottom: "data" top: "a" top: "b" SAID }\n'
    norms = layer("LRN", bottom="a", top="m", name="m") + layer("LRN", bottom="b", top="n", name="n")
    stack = 'layer { name: "x" type: "Concat" bottom: "m" bottom: "n" top: "x" }\n'
    joined = net(cut.replace("SAID", ""), norms, stack)
    assert joined.rows[0] == Lrn("x", size=5, alpha=1.0, beta=0.75, k=1.0, groups=2)
    assert len(joined.rows) == 3
    for changed in (
        (cut.replace("SAID", "slice_param { slice_point: 1 }"), norms, stack),
        (cut.replace("SAID", ""), norms.replace('top: "n" ', 'top: "n" lrn_param { k: 2 }'), stack),
        (cut.replace("SAID", ""), norms, stack.replace('"m" bottom: "n"', '"n" bottom: "m"')),
    ):
        assert isinstance(net(*changed).rows[4], Concat)


REFUSED = {
    "an oblong": (layer("Convolution", CONV.format("kernel_h: 3 kernel_w: 2")), "param.kernel_size: 3 and 2: only"),
    "no size": (layer("Convolution", CONV.format("")), "convolution_param.kernel_size: is missing"),
    "no outputs": (layer("Convolution", "convolution_param { kernel_size: 1 }"), "num_output: is missing"),
    "no stride": (layer("Convolution", CONV.format("kernel_size: 1 stride: 0")), "stride: 0 is too small"),
    "a huge side": (layer("Convolution", CONV.format("kernel_size: 4000000000")), "4000000000 is too large"),
    "holes": (layer("Convolution", CONV.format("kernel_size: 3 dilation: 2")), "dilation: filters with holes"),
    "uneven groups": (layer("Convolution", CONV.format("kernel_size: 3 group: 3")), "cannot split 4 channels into 3"),
    "beyond the image": (layer("Convolution", CONV.format("kernel_size: 9")), "layer x: .*row x leaves nothing"),
    "another axis": (layer("Convolution", CONV.format("kernel_size: 3 axis: 2")), "axis: 2: maps lie along axis 1"),
    "a filler": (
        layer("Convolution", CONV.format("kernel_size: 3 weight_filler { type: 'bilinear' }")),
        "convolution_param.weight_filler.type: 'bilinear' has no counterpart here; known: gaussian, xavier, msra",
    ),
    "a sparse filler": (
        layer("Convolution", CONV.format("kernel_size: 3 weight_filler { type: 'gaussian' sparse: 9 }")),
        "weight_filler.sparse: 9",
    ),
    "an infinite filler": (
        layer("Convolution", CONV.format("kernel_size: 3 weight_filler { type: 'gaussian' std: inf }")),
        "weight_filler.std: inf is no number",
    ),
    "a negative filler": (
        layer("Convolution", CONV.format("kernel_size: 3 weight_filler { type: 'gaussian' std: -1 }")),
        "weight_filler.std: -1 must be 0 or more",
    ),
    "random biases": (
        layer("Convolution", CONV.format("kernel_size: 3 bias_filler { type: 'gaussian' }")),
        "bias_filler.type: 'gaussian': biases begin as one number",
    ),
    "padded windows": (layer("Pooling", "pooling_param { kernel_size: 3 pad: 1 }"), "pooling_param.pad: windows"),
    "windows apart": (layer("Pooling", "pooling_param { kernel_size: 2 stride: 3 }"), "windows of 2, 3 apart"),
    "drawn windows": (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 3 }"), "pool: STOCHASTIC is"),
    "an even norm": (layer("LRN", "lrn_param { local_size: 4 }"), "local_size: 4 is even"),
    "no number": (layer("LRN", "lrn_param { alpha: nan }"), "lrn_param.alpha: nan is no number"),
    "dropping all": (layer("Dropout", "dropout_param { dropout_ratio: 1 }"), "dropout_ratio: 1 must be"),
    "a leak": (layer("ReLU", "relu_param { negative_slope: 0.1 }"), "relu_param.negative_slope: 0.1: below"),
    "a power": (layer("Power", "power_param { power: 2 }"), "power_param.power: 2.0: only factors are read"),
    "a product": (layer("Eltwise", "eltwise_param { operation: PROD }"), "operation: PROD has no counterpart here"),
    "other stacks": (layer("Concat", "concat_param { axis: 2 }"), "concat_param.axis: 2: only maps are stacked"),
    "a bad cut": (layer("Slice", "slice_param { slice_point: 9 }"), "slice_point: .* do not cut 4 maps into 1"),
    "transposed": (
        layer("InnerProduct", "inner_product_param { num_output: 2 transpose: true }"),
        "inner_product_param.transpose: True: weights lie as",
    ),
    "two inputs": (layer("ReLU").replace('bottom: "data"', 'bottom: "data" bottom: "data"'), "bottom: reads 2 blobs"),
    "no inputs": (layer("ReLU").replace('bottom: "data"', ""), "layer x, bottom: reads nothing"),
    "no outputs at all": (layer("ReLU").replace('top: "x"', ""), "layer x, top: gives nothing"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_counterpart_is_refused_by_layer_and_key(what: str) -> None:
    text, words = REFUSED[what]
    with pytest.raises(InputError, match=rf"n\.prototxt, layer x.*{words.removeprefix('layer x')}") as caught:
        net(text)
    assert "\n" not in str(caught.value)
