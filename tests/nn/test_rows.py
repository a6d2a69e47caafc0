from dataclasses import replace

import pytest
import torch
from tests.nn.nets import images_for, spec_of
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn import functional as F

from alexnet.arch.rows import (
    ROW_TYPES,
    AdaptiveAvgPool,
    AvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Local,
    Logistic,
    Lrn,
    MaxPool,
    Mirror,
    RandomPool,
    Relu,
    SameMapNorm,
    Select,
    Softmax,
    Subsample,
    Sum,
    Tanh,
)
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.nn import build
from alexnet.nn.rows import build_row

ROWS = [
    Conv("row", 4, 3, stride=2, padding=1),
    Conv("row", 4, 3, stride=2, groups=2, rounding="ceil"),
    Local("row", 2, 3, stride=2, rounding="ceil"),
    Fc("row", 4),
    Fc("row", 4, groups=2),
    Lrn("row", groups=2),
    Lrn("row", size=4, alpha=0.5, beta=0.6, alpha_over_size=False),
    SameMapNorm("row", size=2, alpha=0.5),
    ContrastNorm("row", size=3, alpha=0.5),
    MaxPool("row", 3, 2),
    MaxPool("row", 2, 3, rounding="floor"),
    AvgPool("row", 3, 2),
    RandomPool("row", 2, 2),
    AdaptiveAvgPool("row", 3),
    Relu("row"),
    Tanh("row"),
    Logistic("row"),
    Concat("row", inputs=(IMAGE,)),
    Sum("row", inputs=(IMAGE,), coefficients=(-0.5,)),
    Select("row", (3, 0, 3)),
    Blur("row", 3, 1.0),
    Subsample("row", 2),
    Mirror("row"),
    Dropout("row"),
    Dropout("row", scale_at="train"),
    Softmax("row"),
]


def test_every_kind_of_row_is_below():
    assert {row.kind for row in ROWS} == set(ROW_TYPES)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_row_has_its_measured_shape_and_the_right_gradient(row, size):
    spec = Spec("test", "this file", (4, size, size), (row, Fc("fc", 2), Softmax("prob")))
    shape = measure(spec)[0]
    module = build_row(shape).double().eval()
    x = torch.randn(1, *spec.input, dtype=torch.float64, requires_grad=True)
    flat = isinstance(row, Fc)
    assert module(x).shape[1:] == (shape.output[:1] if flat else shape.output)

    def run(x: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(0)  # for what is drawn at test too
        return module(x)

    assert gradcheck(run, (x, *module.parameters()))


# Settings that are not the defaults, and torch's own word for each.
SETTINGS = [
    (Lrn("row", size=3, alpha=0.5, beta=0.6, k=3.0), nn.LocalResponseNorm(3, 0.5, 0.6, 3.0)),
    (Lrn("row", size=4, alpha=0.5, beta=0.6, k=3.0, alpha_over_size=False), nn.LocalResponseNorm(4, 2.0, 0.6, 3.0)),
    (
        SameMapNorm("row", size=5, alpha=0.7, beta=0.6),
        lambda x: x * (1 + 0.7 * F.avg_pool2d(x * x, 5, 1, 2)) ** -0.6,
    ),
    (MaxPool("row", 4, 3), nn.MaxPool2d(4, 3, ceil_mode=True)),
    (MaxPool("row", 4, 3, rounding="floor"), nn.MaxPool2d(4, 3)),
    (AvgPool("row", 4, 3), nn.AvgPool2d(4, 3, ceil_mode=True)),
    (AvgPool("row", 4, 3, rounding="floor"), nn.AvgPool2d(4, 3)),
    (AdaptiveAvgPool("row", 3), nn.AdaptiveAvgPool2d(3)),
    (Dropout("row", 0.3), lambda x: x * 0.7),
    (Dropout("row", 0.3, scale_at="train"), lambda x: x),
]


@pytest.mark.parametrize(("row", "expected"), SETTINGS)
def test_modules_have_the_settings_of_their_rows(row, expected):
    spec = Spec("test", "this file", (8, 9, 9), (row, Fc("fc", 2), Softmax("prob")))
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(build_row(measure(spec)[0]).eval()(x), expected(x))


@pytest.mark.parametrize(("scale_at", "factor"), [("test", 1.0), ("train", 1 / 0.8)])
def test_dropout_in_training_scales_where_the_row_says(scale_at, factor):
    row = Dropout("row", 0.2, scale_at=scale_at)
    spec = Spec("test", "this file", (8, 9, 9), (row, Fc("fc", 2), Softmax("prob")))
    x = torch.rand(50, 8, 9, 9) + 1
    y = build_row(measure(spec)[0]).train()(x)
    torch.testing.assert_close(y, torch.where(y == 0, 0, x * factor))
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("height", "width"), [(11, 12), (12, 11), (12, 16), (10, 12)])
@pytest.mark.parametrize("local", [False, True])
def test_images_need_not_be_square(height, width, local):
    row = Local("row", 2, 4, stride=3, rounding="ceil") if local else Conv("row", 2, 4, stride=3, rounding="ceil")
    spec = replace(spec_of(row), input=(3, height, width))
    net = build(spec, seed=0)
    images = images_for(spec)
    beyond = F.pad(images, (0, -(width - 4) % 3, 0, -(height - 4) % 3))
    module = net.get_submodule("row")
    if local:
        patches = F.unfold(beyond, 4, stride=3)
        products = torch.einsum("nip,poi->nop", patches, module.weight.flatten(2))
        expected = products.view(2, *module.bias.shape) + module.bias
    else:
        expected = F.conv2d(beyond, module.weight, module.bias, stride=3)
    torch.testing.assert_close(net.features(images, ["row"])["row"], expected)
    assert net(images).shape == (2, 4)
