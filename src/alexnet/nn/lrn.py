"""Local response normalization across maps (paper sec. 3.3), for every convention and any grouping."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.nn.divisive import define_norm, normalize, wants_formula
from alexnet.nn.formula import Window


class LocalResponseNorm(nn.Module):
    """x / (k + a * sum of squares over `size` neighbouring maps)^beta, windows clipped to their group of maps.

    a = alpha / size with `alpha_over_size` (PyTorch, Caffe, the 2012 code's `scale`), a = alpha without (the paper's
    formula). The window of map f begins at f - size // 2, in PyTorch and in the 2012 kernels alike.

    Source: Krizhevsky et al. 2012, sec. 3.3; `cmrnorm` of the 2012 code. A drop-in for torch.nn.LocalResponseNorm;
    differs: `groups`, `alpha_over_size`, bf16 on CPU.

    Raises:
        ValueError: `size` or `groups` is below one.
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        groups: int = 1,
        alpha_over_size: bool = True,
    ) -> None:
        super().__init__()
        if min(size, groups) < 1:
            raise ValueError(f"size and groups must be at least 1, not {size} and {groups}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.groups, self.alpha_over_size = groups, alpha_over_size

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps of the shape, dtype and memory format of `x` (N, C, ...).

        Raises:
            ValueError: `x` has no maps, or not a multiple of `groups`.
        """
        if x.ndim < 2 or x.shape[1] % self.groups:
            raise ValueError(f"expected (N, C, ...) with C a multiple of {self.groups}, got {tuple(x.shape)}")
        if not x.is_floating_point():  # as torch's does it
            x = x.to(torch.get_default_dtype())
        if not x.shape[1]:
            return x.clone()
        per_term = self.alpha / self.size if self.alpha_over_size else self.alpha
        size = min(self.size, 2 * (x.shape[1] // self.groups))  # a larger window holds no more maps
        if wants_formula(x):
            return normalize(x, shifted_window(size, per_term, self.groups), self.k, self.beta)
        return _across_maps(x, size, per_term, self.beta, self.k, self.groups)

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}, groups={self.groups}"


def shifted_window(size: int, alpha: float, groups: int, first: int | None = None) -> Window:
    """alpha times the sum over `size` maps of a group: as many shifted copies, which a compiler makes one pass of.

    `first`: where a window begins, so many maps before its own; size // 2 if not given. In between maps lie last, so
    that a compiler keeps channels-last memory as it is.
    """
    before = size // 2 if first is None else first

    def window(squares: Tensor) -> Tensor:
        axes = list(range(squares.ndim))  # not -1: exporters write axes as they are given
        last = squares.permute(0, *axes[2:], 1)
        maps = last.reshape(*last.shape[:-1], groups, -1)  # (N, ..., groups, C / groups)
        padded, count = F.pad(maps, (before, size - 1 - before)), maps.shape[-1]
        total = padded.narrow(-1, 0, count)
        for shift in range(1, size):
            total = total + padded.narrow(-1, shift, count)
        return total.flatten(-2).permute(0, axes[-1], *axes[1:-1]) * alpha

    return window


def shifted_windows(_: Tensor, size: int, alpha: float, groups: int) -> tuple[Window, Window]:
    """That window and its adjoint."""
    return shifted_window(size, alpha, groups), shifted_window(size, alpha, groups, first=(size - 1) // 2)


def band_windows(x: Tensor, size: int, alpha: float, groups: int) -> tuple[Window, Window]:
    """The same window and its adjoint as 1x1 convolutions with a banded matrix.

    Groups and even sizes are then only other bands, and both memory formats stay as they are. Without a compiler this
    is the fastest way.
    """
    band = window_band(x.shape[1] // groups, size).to(x.device, x.dtype) * alpha

    def window_of(band: Tensor) -> Window:
        filters = band.repeat(groups, 1)[:, :, None, None]  # (C, C / groups, 1, 1)

        def window(squares: Tensor) -> Tensor:
            if not squares.numel():
                return squares
            images = squares if squares.ndim == 4 else squares.reshape(*squares.shape[:2], -1, 1)
            return F.conv2d(images, filters, groups=groups).view_as(squares)

        return window

    return window_of(band), window_of(band.T)


def window_band(channels: int, size: int) -> Tensor:
    """(channels, channels) of 0 and 1: row f, column j is 1 where map j lies in the window of map f."""
    index = torch.arange(channels)
    offset = index[None, :] - index[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).float()


def _layout(x: Tensor, groups: int) -> tuple[int, int, int] | None:
    """(blocks, maps, pixels) for the kernel: in channels-last memory every pixel's group of maps is a block."""
    maps = x.shape[1] // groups
    if x.is_contiguous():
        return x.shape[0] * groups, maps, x.shape[2:].numel()
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.numel() // maps, maps, 1
    return None


_across_maps = define_norm(
    "local_response_norm",
    "int size, float alpha, float beta, float k, int groups",
    windows=band_windows,
    kernel="across_maps",
    layout=_layout,
    windows_to_fuse=shifted_windows,
)
