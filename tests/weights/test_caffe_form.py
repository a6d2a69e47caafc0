"""Weights as Caffe can hold them compute what they did."""

from dataclasses import replace

import numpy as np
import pytest

from alexnet.arch.rows import Conv, Fc, MaxPool, Softmax
from alexnet.arch.spec import Spec
from alexnet.data.splits import unnamed_classes
from alexnet.errors import WeightsError
from alexnet.preprocess import Preprocessing
from alexnet.verify import probe_logits
from alexnet.weights import Weights
from alexnet.weights.caffe_form import caffe_form
from alexnet.weights.check import tensor_shapes


def weights(size: int, first: Conv, **preprocessing: object) -> Weights:
    spec = Spec(name="net", source="a test", input=(3, size, size), rows=(first, Fc("fc", 5), Softmax("prob")))
    rng = np.random.default_rng(0)
    return Weights(
        spec=spec,
        classes=unnamed_classes(5),
        preprocessing=Preprocessing(**{"resize": size + 4, "crop": size} | preprocessing),  # type: ignore[arg-type]
        tensors={key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in tensor_shapes(spec).items()},
    )


def assert_computes_the_same(before: Weights) -> Weights:
    after, expected = caffe_form(before), probe_logits(before)
    assert (after.preprocessing.channel_order, after.preprocessing.std) == ("BGR", (1.0, 1.0, 1.0))
    np.testing.assert_allclose(probe_logits(after), expected, atol=1e-5 * np.abs(expected).max())
    return after


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("std", [(1.0, 1.0, 1.0), (0.25, 0.5, 2.0)])
def test_colours_and_deviations_go_into_the_first_convolution(order: str, std: tuple[float, ...]) -> None:
    mean = (0.4, 0.5, 0.6)
    before = weights(12, Conv("conv", 4, 3, padding=1), channel_order=order, std=std, mean=mean, scale=1 / 255)
    after = assert_computes_the_same(before)
    assert after.preprocessing.mean == (mean if order == "BGR" else mean[::-1])
    changed = after.tensors["conv.weight"] is not before.tensors["conv.weight"]
    assert changed == (order == "RGB" or std != (1.0, 1.0, 1.0))
    assert after.tensors["fc.weight"] is before.tensors["fc.weight"]


def test_a_mean_image_is_turned_with_the_colours() -> None:
    image = np.random.default_rng(0).uniform(0, 200, (3, 16, 16)).astype(np.float32)
    after = assert_computes_the_same(weights(12, Conv("conv", 4, 3), mean_image=image))
    np.testing.assert_array_equal(after.preprocessing.mean_image, image[::-1])


@pytest.mark.parametrize(
    ("size", "row", "kernel_size", "padding"),
    [
        (12, Conv("conv", 4, 3, stride=4, rounding="ceil"), 6, 3),
        (14, Conv("conv", 4, 5, stride=3, padding=1, rounding="ceil"), 6, 2),
        (11, Conv("conv", 4, 3, stride=4, rounding="ceil"), 3, 0),
    ],
)
def test_padding_of_the_far_edges_becomes_padding_of_all(size: int, row: Conv, kernel_size: int, padding: int) -> None:
    first = assert_computes_the_same(weights(size, row)).spec.rows[0]
    assert isinstance(first, Conv)
    assert (first.kernel_size, first.padding, first.stride, first.rounding) == (
        kernel_size,
        padding,
        row.stride,
        "floor",
    )


def test_only_a_plain_convolution_can_take_what_caffe_lacks() -> None:
    rows = (MaxPool("pool", 2, 2), Fc("fc", 5), Softmax("prob"))
    before = weights(12, Conv("conv", 4, 3))
    spec = replace(before.spec, rows=rows)
    shapes = tensor_shapes(spec)
    pooled = replace(before, spec=spec, tensors={key: np.zeros(shape, np.float32) for key, shape in shapes.items()})
    with pytest.raises(WeightsError, match="net cannot be written for Caffe: row pool reads images that are RGB"):
        caffe_form(pooled)
    assert caffe_form(replace(pooled, preprocessing=replace(pooled.preprocessing, channel_order="BGR"))).spec == spec
