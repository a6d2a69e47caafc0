"""The 2012 layers that PyTorch lacks: far-edge padding, unshared and grouped weights, dropout.

Every module takes (N, C, H, W), the dense ones (N, features) too.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.nn.drawing import Drawing

Edges = tuple[int, int, int, int]


class FarEdgeConv2d(nn.Conv2d):
    """A convolution whose padding may be larger at the bottom and right, where the 2012 code rounds sizes up.

    `edges`: zero pixels around the image, (left, right, top, bottom).
    Source: 2012 release, layer.py (modulesX) and the filter_acts kernels: pixels outside the image read as zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int,
        edges: Edges,
        groups: int,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=0, groups=groups, bias=bias)
        self.edges = edges

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, H', W')."""
        return super().forward(F.pad(x, self.edges))


class Local2d(nn.Module):
    """A convolution with its own filters and biases at every output position.

    weight: (positions, out_channels, in_channels, k, k), positions in row order; bias: (out_channels, H', W').
    `edges`: zero pixels around the image, (left, right, top, bottom).
    Source: 2012 release, layer type `local`.
    """

    def __init__(
        self,
        in_channels: int,
        output: tuple[int, int, int],
        kernel_size: int,
        *,
        stride: int,
        edges: Edges,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.output, self.kernel_size, self.stride, self.edges = output, kernel_size, stride, edges
        positions = output[1] * output[2]
        self.weight = nn.Parameter(torch.empty(positions, output[0], in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(output)) if bias else None
        nn.init.kaiming_uniform_(self.weight.flatten(0, 1), a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, *output)."""
        patches = F.unfold(F.pad(x, self.edges), self.kernel_size, stride=self.stride)  # (N, C k k, positions)
        weight = self.weight.flatten(2)  # (positions, out, C k k)
        products = torch.bmm(weight, patches.permute(2, 1, 0))  # (positions, out, N)
        maps = products.permute(2, 1, 0).reshape(-1, *self.output)
        return maps if self.bias is None else maps + self.bias


class FlatLinear(nn.Linear):
    """Fully connected over everything in an image: inputs are flattened as (channel, row, column)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, out_features)."""
        return super().forward(x.flatten(1))


class GroupedLinear(nn.Module):
    """Fully connected, block by block: outputs of group g see the inputs of group g alone (a tower without talk).

    weight: (out_features, in_features / groups); bias: (out_features,).
    """

    def __init__(self, in_features: int, out_features: int, groups: int, *, bias: bool = True) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_features, in_features // groups))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, out_features); inputs are flattened as (channel, row, column)."""
        blocks = x.reshape(len(x), self.groups, -1).transpose(0, 1)  # (groups, N, in / groups)
        weight = self.weight.view(self.groups, -1, self.weight.shape[1])  # (groups, out / groups, in / groups)
        products = torch.bmm(blocks, weight.mT).transpose(0, 1).flatten(1)
        return products if self.bias is None else products + self.bias


class TrainScaledDropout(nn.Dropout, Drawing):
    """Dropout as torch has it: units are zeroed in training, and those left divided by 1 - rate."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`, any."""
        if not self.training:
            return x
        keep = 1 - self.p
        return x * ((self.uniform(x.shape, x.device) < keep).to(x.dtype) / keep)


class TestScaledDropout(Drawing):
    """Dropout as in 2012: units are zeroed in training and left unscaled; at test all are multiplied by 1 - rate.

    Source: paper sec. 4.2; 2012 release, layer type `hs`.
    """

    __test__ = False  # the name is not a test's

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`, any."""
        keep = 1 - self.rate
        return x * (self.uniform(x.shape, x.device) < keep) if self.training else x * keep

    def extra_repr(self) -> str:
        """The rate, as `print(net)` shows it."""
        return f"rate={self.rate}"


def use_channels_last(net: nn.Module) -> None:
    """Lay the filters out as convolutions on CPUs and tensor cores want them; the outputs follow.

    Filters alone: `Module.to(memory_format=...)` refuses nets with the five sides of unshared filters.
    """
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
