"""A row as a torch module."""

from math import prod
from typing import cast

from torch import Tensor, nn

from alexnet.arch.rows import (
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
    Weighted,
)
from alexnet.arch.shapes import RowShape, conv_extent
from alexnet.errors import SpecError
from alexnet.nn import maps, same_map
from alexnet.nn.init import initialize
from alexnet.nn.layers import FarEdgeConv2d, FlatLinear, GroupedLinear, Local2d, TestScaledDropout, TrainScaledDropout
from alexnet.nn.lrn import LocalResponseNorm
from alexnet.nn.pool import MaxPool2d


def build_row(shape: RowShape, *, in_place: bool = False) -> nn.Module:
    """The module of one measured row, its weights drawn as the row says.

    `in_place`: nobody else needs this row's input, so that it may be overwritten.
    """
    channels, height, width = shape.input
    match row := shape.row:
        case Conv() | Local():
            bottom, right = (
                conv_extent(side, row.kernel_size, row.stride, row.padding, row.rounding)[1] for side in (height, width)
            )
            edges = (row.padding, right, row.padding, bottom)
            module: nn.Module
            if isinstance(row, Local):
                module = Local2d(
                    channels, shape.output, row.kernel_size, stride=row.stride, edges=edges, bias=row.has_bias
                )
            elif row.rounding == "floor":
                module = nn.Conv2d(
                    channels,
                    row.out_channels,
                    row.kernel_size,
                    row.stride,
                    row.padding,
                    groups=row.groups,
                    bias=row.has_bias,
                )
            else:
                module = FarEdgeConv2d(
                    channels,
                    row.out_channels,
                    row.kernel_size,
                    stride=row.stride,
                    edges=edges,
                    groups=row.groups,
                    bias=row.has_bias,
                )
        case Fc(groups=1):
            module = FlatLinear(prod(shape.input), row.out_features, bias=row.has_bias)
        case Fc():
            module = GroupedLinear(prod(shape.input), row.out_features, row.groups, bias=row.has_bias)
        case Lrn():
            module = LocalResponseNorm(
                row.size, row.alpha, row.beta, row.k, groups=row.groups, alpha_over_size=row.alpha_over_size
            )
        case SameMapNorm():
            module = same_map.SameMapNorm(row.size, row.alpha, row.beta)
        case ContrastNorm():
            module = same_map.ContrastNorm(row.size, row.alpha, row.beta)
        case MaxPool():
            module = MaxPool2d(row.kernel_size, row.stride, ceil_mode=row.rounding == "ceil")
        case AvgPool():
            module = nn.AvgPool2d(row.kernel_size, row.stride, ceil_mode=row.rounding == "ceil")
        case RandomPool():
            module = maps.RandomPool2d(row.kernel_size, row.stride, ceil_mode=row.rounding == "ceil")
        case AdaptiveAvgPool():
            module = nn.AdaptiveAvgPool2d(row.output_size)
        case Relu():
            module = nn.ReLU(inplace=in_place)
        case Tanh():
            module = nn.Tanh()
        case Logistic():
            module = nn.Sigmoid()
        case Concat():
            module = nn.Identity()  # inputs come stacked
        case Sum():
            module = maps.Sum(row.coefficients or (1.0,) * len(shape.inputs))
        case Select():
            module = maps.Select(row.channels)
        case Blur():
            module = maps.Blur(row.kernel_size, row.std)
        case Subsample():
            module = maps.Subsample(row.stride)
        case Mirror():
            module = maps.Mirror()
        case Dropout():
            module = TrainScaledDropout(row.rate) if row.scale_at == "train" else TestScaledDropout(row.rate)
        case Softmax():
            module = nn.Softmax(dim=1)
        case _:
            raise SpecError(f"row {row.name}: no module for rows of kind {row.kind}")
    if isinstance(row, Weighted) and not cast(Tensor, module.weight).is_meta:  # which has no values to draw
        initialize(module, row)
    return module
