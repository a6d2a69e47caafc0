"""The one place where a Spec becomes a torch module."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from alexnet.arch import find
from alexnet.arch.layers import feature_row
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
    Pool,
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
from alexnet.arch.shapes import RowShape, conv_extent, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError
from alexnet.nn import maps, same_map
from alexnet.nn.init import initialize
from alexnet.nn.layers import FarEdgeConv2d, FlatLinear, GroupedLinear, Local2d, TestScaledDropout, TrainScaledDropout
from alexnet.nn.lrn import LocalResponseNorm
from alexnet.nn.pool import MaxPool2d

# Rows that give a tensor of their own, which their own gradient does not need: the only reader may overwrite it.
# (Dropout in evaluation gives its input itself; ReLU, tanh and softmax keep their output.)
DISPOSABLE = (Conv, Local, Fc, Lrn, SameMapNorm, Pool, AdaptiveAvgPool)


class Net(nn.Module):
    """A network built from `spec`; one child module a row, under the row's name.

    Images are float (N, 3, H, W), 0 to 255 minus a mean unless the weights say otherwise; `forward` returns logits
    (N, num_classes): the rows up to the softmax, which `features(images, ["prob"])` adds.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        shapes = measure(spec)
        readers = Counter(name for shape in shapes for name in shape.inputs)
        disposable = {shape.row.name for shape in shapes if isinstance(shape.row, DISPOSABLE)}
        for shape in shapes:
            read = shape.inputs[0]
            # Not add_module, which refuses the names of its own attributes: files call rows what they like.
            self._modules[shape.row.name] = build_row(shape, in_place=read in disposable and readers[read] == 1)
        self._steps = [(shape.row.name, shape.inputs) for shape in shapes]
        # After its last reader a value is let go, so that memory does not grow with depth.
        self._last_reader = {name: reader for reader, inputs in self._steps for name in inputs}
        self._logits = shapes[-1].inputs[0]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of float `images` (N, C, H, W)."""
        logits: Tensor = self._run(images, {self._logits})[self._logits]
        return logits

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The named rows' outputs as copies: (N, C, H, W), or (N, features) from the first fc row on.

        `fc7` is the row after its ReLU and before dropout; `fc7:pre` is the raw row.

        Raises:
            UnknownNameError: no such row.
        """
        rows = {layer: feature_row(self.spec, layer) for layer in layers}
        values = self._run(images, set(rows.values()), copy=True)
        return {layer: values[row] if layer == row else values[row].clone() for layer, row in rows.items()}

    def _run(self, images: Tensor, wanted: set[str], *, copy: bool = False) -> dict[str, Tensor]:
        """The rows in order until all `wanted` are there; copied on the spot, where the next row may work in place."""
        values: dict[str, Tensor] = {IMAGE: images}
        found: dict[str, Tensor] = {}
        for name, inputs in self._steps:
            x = values[inputs[0]] if len(inputs) == 1 else torch.cat([values[read] for read in inputs], 1)
            values[name] = self._modules[name](x)  # type: ignore[misc]
            if name in wanted:
                found[name] = values[name].clone() if copy else values[name]
                if len(found) == len(wanted):
                    break
            for read in set(inputs):
                if self._last_reader[read] == name:
                    del values[read]
        return found


def build(spec: Spec, *, seed: int | None = None) -> Net:
    """`spec` as a module with initial weights, the same for the same `seed` (None: torch's global generator)."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return Net(spec)


def assemble(spec: Spec, weights: Mapping[str, Tensor]) -> Net:
    """`spec` as a module around weights that there are already: none are drawn first, and none copied."""
    with torch.device("meta"):
        net = Net(spec)
    net.load_state_dict(weights, assign=True)
    return net


def create(net: str, *, num_classes: int | None = None, input_size: int | None = None, seed: int | None = None) -> Net:
    """A named net as a module with the initial weights of its source, `krizhevsky-145+no-lrn` and the like included.

    Raises:
        UnknownNameError: no such net or ablation; the message offers the nearest names.
        SpecError: an ablation that is undefined for the net, or an image size that its rows do not allow.
    """
    return build(find(net, num_classes=num_classes, input_size=input_size), seed=seed)


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
