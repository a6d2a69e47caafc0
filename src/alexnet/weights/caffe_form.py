"""Weights as Caffe can hold them: blue first, pixels divided by nothing, no padding of the far edges alone.

The net computes the same. What Caffe's words for images lack goes into the convolutions that read them; a filter that
reaches over the far edges gets rows and columns of zeros at its near ones, so that all sides are padded alike.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import Conv, Row
from alexnet.arch.shapes import RowShape, conv_extent, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import WeightsError
from alexnet.preprocess import Preprocessing
from alexnet.weights.files import Weights
from alexnet.weights.stored import where_they_lie

Array = NDArray[np.float32]

_NO_STD = (1.0, 1.0, 1.0)


def caffe_form(weights: Weights) -> Weights:
    """The same weights as Caffe can hold them; tensors that stay as they are are not copied.

    Raises:
        WeightsError: a row that is no plain convolution reads the images, and they are red first or divided.
    """
    tensors, rows = dict(where_they_lie(weights.tensors)), dict[str, Row]()
    for name in _readers_of_images(weights.spec, weights.preprocessing):
        tensors[f"{name}.weight"] = _for_images(tensors[f"{name}.weight"], weights.preprocessing)
    for shape in measure(weights.spec):
        if isinstance(shape.row, Conv) and shape.row.rounding == "ceil":
            extra = _far_edge(shape, shape.row)
            rows[shape.row.name] = _padded_alike(shape.row, extra)
            tensors[f"{shape.row.name}.weight"] = _with_zeros(tensors[f"{shape.row.name}.weight"], extra)
    preprocessing = _images_of_caffe(weights.preprocessing)
    return replace(weights, spec=weights.spec.with_rows(rows), preprocessing=preprocessing, tensors=tensors, probe=None)


def _readers_of_images(spec: Spec, preprocessing: Preprocessing) -> list[str]:
    """The rows whose weights are to change."""
    if preprocessing.channel_order == "BGR" and preprocessing.std == _NO_STD:
        return []
    readers = [row for row in spec.rows if IMAGE in spec.inputs_of(row)]
    for row in readers:
        if not isinstance(row, Conv) or row.groups > 1 or spec.inputs_of(row) != (IMAGE,):
            raise WeightsError(
                f"{spec.name} cannot be written for Caffe: row {row.name} reads images that are "
                f"{preprocessing.channel_order} and divided by {preprocessing.std}; only plain convolutions can"
            )
    return [row.name for row in readers]


def _for_images(weight: Array, preprocessing: Preprocessing) -> Array:
    """Weights (out, 3, k, k) of a convolution that reads images as `_images_of_caffe` has them."""
    weight = weight / np.asarray(preprocessing.std, np.float32)[:, None, None]
    return np.ascontiguousarray(weight[:, ::-1]) if preprocessing.channel_order == "RGB" else weight


def _images_of_caffe(preprocessing: Preprocessing) -> Preprocessing:
    mean, image = preprocessing.mean, preprocessing.mean_image
    if preprocessing.channel_order == "RGB":
        mean, image = (mean[2], mean[1], mean[0]), None if image is None else np.ascontiguousarray(image[::-1])
    return replace(preprocessing, channel_order="BGR", std=_NO_STD, mean=mean, mean_image=image)


def _far_edge(shape: RowShape, row: Conv) -> int:
    """How many more pixels are padded at the far edges than at the near ones; 0 where rounding up changes nothing."""
    side = shape.input[1]
    count, far = conv_extent(side, row.kernel_size, row.stride, row.padding, "ceil")
    floor, _ = conv_extent(side, row.kernel_size, row.stride, row.padding, "floor")
    return far - row.padding if count != floor else 0


def _padded_alike(row: Conv, extra: int) -> Conv:
    """Its initial weights, which are not zeros, are left out where it has grown."""
    grown = replace(row, rounding="floor", kernel_size=row.kernel_size + extra, padding=row.padding + extra)
    return replace(grown, weight_std=None, bias_init=None) if extra else grown


def _with_zeros(weight: Array, extra: int) -> Array:
    return np.pad(weight, ((0, 0), (0, 0), (extra, 0), (extra, 0))) if extra else weight
