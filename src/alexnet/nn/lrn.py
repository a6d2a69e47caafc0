"""Local response normalization across maps (paper sec. 3.3), for every convention and any grouping.

The sum over a window of maps is a 1x1 convolution with a banded 0/1 matrix. Groups, even windows and both alpha
conventions are then only other bands, the work is matrix product, and both memory formats stay as they are.
"""

from functools import partial

import torch
from torch import Tensor, nn

from alexnet.nn.divisive import Window, divide_by_window


class LocalResponseNorm(nn.Module):
    """x / (k + a * sum of squares over `size` neighbouring maps)^beta, windows clipped to their group of maps.

    a = alpha / size with `alpha_over_size` (PyTorch, Caffe, the 2012 code's `scale`), a = alpha without (the paper's
    formula). The window of map f begins at f - size // 2, in PyTorch and in the 2012 kernels alike.

    Source: Krizhevsky et al. 2012, sec. 3.3; `cmrnorm` of the 2012 code. A drop-in for torch.nn.LocalResponseNorm on
    (N, C, H, W); differs: `groups`, `alpha_over_size`, bf16 on CPU.
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
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.groups, self.alpha_over_size = groups, alpha_over_size

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps of the shape, dtype and memory format of `x` (N, C, H, W)."""
        per_term = self.alpha / self.size if self.alpha_over_size else self.alpha
        band = window_band(x.shape[1] // self.groups, self.size).to(x.device, x.dtype) * per_term
        return divide_by_window(x, self._conv(band), self._conv(band.T), k=self.k, beta=self.beta)

    def _conv(self, band: Tensor) -> Window:
        filters = band.repeat(self.groups, 1)[:, :, None, None]  # (C, C / groups, 1, 1)
        return partial(nn.functional.conv2d, weight=filters, groups=self.groups)

    def extra_repr(self) -> str:
        """The settings, as `print(net)` shows them."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}, groups={self.groups}"


def window_band(channels: int, size: int) -> Tensor:
    """(channels, channels) of 0 and 1: row f, column j is 1 where map j lies in the window of map f."""
    index = torch.arange(channels)
    offset = index[None, :] - index[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).float()
