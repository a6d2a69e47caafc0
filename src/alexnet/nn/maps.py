"""What the 2012 files do to maps besides convolving, pooling and normalizing them.

Source: 2012 release, layer.py; the kernels of cuda-convnet and cuda-convnet2 (conv_util).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.arch.shapes import subsample_extent
from alexnet.nn.drawing import Drawing
from alexnet.nn.pool import pooled_side


class Sum(nn.Module):
    """Inputs that come stacked along the channels, added up, each times its coefficient (layer type `eltsum`)."""

    def __init__(self, coefficients: Sequence[float]) -> None:
        super().__init__()
        self.coefficients = tuple(coefficients)

    def forward(self, x: Tensor) -> Tensor:
        """(N, n C, H, W) to (N, C, H, W), or (N, n F) to (N, F)."""
        parts = x.chunk(len(self.coefficients), 1)
        terms = [part if by == 1 else by * part for by, part in zip(self.coefficients, parts, strict=True)]
        total = terms[0].clone() if len(terms) == 1 else terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def extra_repr(self) -> str:
        """The coefficients, as `print(net)` shows them."""
        return f"{self.coefficients}"


class Select(nn.Module):
    """Channels by number, in the order given, with repeats (the connections of `randSparse` groups)."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        # No part of the weights: the rows know it, and a net built around weights that are there draws none.
        self.register_buffer("channels", torch.tensor(channels, dtype=torch.int64, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, len(channels), ...)."""
        return x.index_select(1, self.channels)  # type: ignore[arg-type]


class Blur(nn.Module):
    """Every map convolved with exp(-d^2 / (2 std^2)), the taps of a side scaled to sum to 1; zero outside the image."""

    def __init__(self, kernel_size: int, std: float) -> None:
        super().__init__()
        self.kernel_size, self.std = kernel_size, std

    def forward(self, x: Tensor) -> Tensor:
        """The shape and dtype of `x` (N, C, H, W)."""
        far = torch.arange(self.kernel_size, device=x.device, dtype=torch.float32) - (self.kernel_size - 1) / 2
        taps = torch.exp(-(far**2) / (2 * self.std**2))
        taps = (taps / taps.sum()).to(x.dtype)
        channels, before, after = x.shape[1], self.kernel_size // 2, (self.kernel_size - 1) // 2
        x = F.conv2d(
            F.pad(x, (0, 0, before, after)), taps.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels
        )
        return F.conv2d(F.pad(x, (before, after)), taps.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.kernel_size}, std={self.std}"


class Subsample(nn.Module):
    """One pixel in `stride` along each side (layer type `nailbed`): ceil(side / stride) of them, from the middle."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        top, left = (subsample_extent(side, self.stride)[1] for side in x.shape[2:])
        return x[:, :, top :: self.stride, left :: self.stride]

    def extra_repr(self) -> str:
        """The stride, as `print(net)` shows it."""
        return f"stride={self.stride}"


class Mirror(nn.Module):
    """Left and right exchanged (layer type `href`)."""

    def forward(self, x: Tensor) -> Tensor:
        """The shape of `x` (N, C, H, W)."""
        return x.flip(3)


class RandomPool2d(Drawing):
    """One unit of each window, drawn in proportion to what it is above zero; 0 where none is.

    Windows are clipped to the image where `ceil_mode` lets them overhang. Drawn at test too, from torch's generator.
    Source: 2012 release, pooling `rand`; Zeiler and Fergus 2013.
    """

    def __init__(self, kernel_size: int, stride: int, *, ceil_mode: bool) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.ceil_mode = kernel_size, stride, ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        size, stride = self.kernel_size, self.stride
        rows, columns = (pooled_side(side, size, stride, self.ceil_mode) for side in x.shape[2:])
        bottom, right = (
            (count - 1) * stride + size - side for count, side in zip((rows, columns), x.shape[2:], strict=True)
        )
        padded = F.pad(x, (0, max(0, right), 0, max(0, bottom)))
        windows = padded.unfold(2, size, stride).unfold(3, size, stride)[:, :, :rows, :columns].flatten(4)
        chances = windows.detach().float().clamp(min=0)
        total = chances.sum(-1, keepdim=True)
        drawn = self.uniform(total.shape, x.device) * total
        chosen = (chances.cumsum(-1) <= drawn).sum(-1, keepdim=True).clamp(max=size * size - 1)
        return torch.where(total > 0, windows.gather(-1, chosen), 0).squeeze(-1)

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.kernel_size}, {self.stride}, ceil_mode={self.ceil_mode}"
