"""From uint8 images to what the first row reads, on the device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.nn.native import DTYPES, Kernels, kernels
from alexnet.preprocess import Preprocessing, View


class InputLayer(nn.Module):
    """uint8 (N, 3, c, c) RGB crops to normalized numbers: channel order, scale, mean image or colour, std.

    The torch twin of `preprocess.normalize`, with the colour noise of training. Crops of which no view is told are
    taken for central ones: of the mean image, as in the 2012 code, the centre is subtracted.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.scale, self.reverse = preprocessing.scale, preprocessing.channel_order == "BGR"
        self.unit_std = preprocessing.std == (1.0, 1.0, 1.0)
        self._preprocessing = preprocessing
        self.register_buffer("mean", _tensor(preprocessing.mean_of()), persistent=False)
        self._mean_by_side: dict[int, Tensor] = {}
        self._mean_by_view: dict[View, Tensor] = {}
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)

    def forward(
        self,
        images: Tensor,
        noise: Tensor | None = None,
        coefficient: float = 0.0,
        *,
        dtype: torch.dtype = torch.float32,
        view: View | None = None,
    ) -> Tensor:
        """(N, 3, c, c) in `dtype` and the memory format of `images`; computed in float32 and rounded once.

        `noise` (N, 3), RGB in grey levels, is mixed in as `add_color_noise_` does with `coefficient`.
        """
        images, noise = self._ordered(images), noise if noise is None else self._ordered(noise)
        mean = self._mean_at(images.shape[-1]) if view is None else self._mean_of(view)
        if dtype in DTYPES and self.mean.device == images.device and (native := _kernels_for(images)):
            return self._in_one_pass(native, images, mean, noise, coefficient, dtype)
        x = images.to(torch.float32, copy=True)  # a copy: the rest works in place
        if self.scale != 1:
            x *= self.scale
        x -= mean
        if noise is not None and coefficient:
            x = add_color_noise_(x, noise * self.scale, coefficient)
        return (x if self.unit_std else x.div_(self.std)).to(dtype)

    def _in_one_pass(
        self,
        native: Kernels,
        images: Tensor,
        mean: Tensor,
        noise: Tensor | None,
        coefficient: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """(x scale - mean) gain + shift, what is behind the mean being one gain a colour and one shift an image."""
        gain = 1 / (self.std.flatten().float() * (1 + coefficient if noise is not None else 1))
        shift = torch.zeros(len(images), 3)
        if noise is not None:
            shift += noise * (coefficient * self.scale) * gain
        mean = torch.empty_like(images[:1], dtype=torch.float32).copy_(mean)
        x = torch.empty_like(images, dtype=dtype)
        native("normalize", dtype, images, x, mean, gain, shift, len(images), mean.numel(), self.scale)
        return x

    def _mean_at(self, side: int) -> Tensor:
        """The mean of crops of another size than the net's, which training may begin with."""
        if self.mean.shape[-1] in (1, side):
            return self.mean
        if side not in self._mean_by_side:
            self._mean_by_side[side] = F.interpolate(self.mean, (side, side), mode="bilinear", antialias=True)
        return self._mean_by_side[side]

    def _mean_of(self, view: View) -> Tensor:
        if not self._preprocessing.mean_moves:
            return self.mean
        if view not in self._mean_by_view:
            self._mean_by_view[view] = _tensor(self._preprocessing.mean_of(view)).to(self.mean.device)
        return self._mean_by_view[view]

    def _ordered(self, rgb: Tensor) -> Tensor:
        return rgb.flip(1) if self.reverse else rgb


def _tensor(mean: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(mean[None], np.float32))  # a copy: of a mirrored view torch knows nothing


def _kernels_for(images: Tensor) -> Kernels | None:
    """The kernels, for uint8 images in channels-last memory on the CPU."""
    if images.device.type != "cpu" or images.dtype != torch.uint8 or torch.compiler.is_compiling():
        return None
    return kernels() if images.is_contiguous(memory_format=torch.channels_last) and images.numel() else None


def add_color_noise_(x: Tensor, noise: Tensor, coefficient: float) -> Tensor:
    """x <- (x + coefficient * noise) / (1 + coefficient) in place, `noise` (N, 3) one offset a channel of each image.

    Source: 2012 release, convdata.py, with the division that the paper leaves out; draws: `data.color.draw_noise`.
    """
    return x.add_(noise[:, :, None, None], alpha=coefficient).div_(1 + coefficient)
