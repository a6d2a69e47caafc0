"""Response normalization within a map: every unit by the square around it (`rnorm` of the 2012 code)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.nn.divisive import define_norm, normalize, wants_formula
from alexnet.nn.formula import Window


class SameMapNorm(nn.Module):
    """x / (1 + alpha / size^2 * sum of squares in the size x size window around each unit of its own map)^beta.

    Windows begin size // 2 before the unit and are clipped to the image; the divisor stays size^2 at the borders.
    Source: 2012 release, layer type `rnorm`.
    """

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps of the shape, dtype and memory format of `x` (N, C, H, W)."""
        per_term = self.alpha / self.size**2
        if wants_formula(x):
            return normalize(x, square_windows(x, self.size, per_term)[0], 1.0, self.beta)
        size = min(self.size, 2 * max(x.shape[2:]))  # a larger window holds no more units
        return _in_same_map(x, size, per_term, self.beta, 1.0)

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}"


class ContrastNorm(nn.Module):
    """x / (1 + alpha / size^2 * sum of squared differences from the local mean, over the same window)^beta.

    The mean around a unit is over the pixels of its own window inside the image.
    Source: 2012 release, layer type `cnorm`.
    """

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps of the shape and dtype of `x` (N, C, H, W)."""
        window, _ = square_windows(x, self.size, 1.0)
        mean = window(x) / window(torch.ones_like(x[:1, :1]))
        return x * (1 + self.alpha / self.size**2 * window((x - mean) ** 2)) ** -self.beta

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}"


def square_windows(_: Tensor, size: int, alpha: float) -> tuple[Window, Window]:
    """alpha times the sum over size x size units of a map, zero outside the image; and the adjoint."""

    def sum_of(before: int, after: int) -> Window:
        if before == after:
            return lambda maps: F.avg_pool2d(maps, size, stride=1, padding=before) * (alpha * size**2)
        return lambda maps: F.avg_pool2d(F.pad(maps, (before, after) * 2), size, stride=1) * (alpha * size**2)

    before, after = size // 2, (size - 1) // 2
    return sum_of(before, after), sum_of(after, before)


def _layout(x: Tensor) -> tuple[int, int, int, int] | None:
    """(images, height, width, maps) for the kernel, which knows channels-last memory alone."""
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.shape[0], x.shape[2], x.shape[3], x.shape[1]
    return None


_in_same_map = define_norm(
    "same_map_norm",
    "int size, float alpha, float beta, float k",
    windows=square_windows,
    kernel="in_same_map",
    layout=_layout,
)
