"""Overlapping max pooling (paper sec. 3.4), at half the time and an eighth of the kept memory of torch's on CPUs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.library import custom_op
from torch.nn import functional as F

from alexnet.nn.native import kernels, kernels_for
from alexnet.nn.transformed import is_transformed

_LARGEST_SIZE = 16  # a place in a window is a byte


class MaxPool2d(nn.MaxPool2d):
    """torch's max pooling without padding or dilation, windows clipped where `ceil_mode` lets them overhang."""

    def __init__(self, kernel_size: int, stride: int, *, ceil_mode: bool) -> None:
        super().__init__(kernel_size, stride, ceil_mode=ceil_mode)
        self._side = kernel_size
        self._few_windows = stride <= kernel_size <= min(2 * stride, _LARGEST_SIZE)  # over one unit: four at most

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if torch.compiler.is_compiling() or is_transformed(x) or not self._has_kernel(x):
            return F.max_pool2d(x, self.kernel_size, self.stride, ceil_mode=self.ceil_mode)
        wants_places = torch.is_grad_enabled() and x.requires_grad
        pooled: Tensor = _max_pool(x, self.kernel_size, self.stride, self.ceil_mode, wants_places)[0]
        return pooled

    def _has_kernel(self, x: Tensor) -> bool:
        """Images in channels-last memory, none smaller than a window: those torch refuses in its own words."""
        if not self._few_windows or x.ndim != 4 or min(x.shape[2:]) < self._side:
            return False
        return x.is_contiguous(memory_format=torch.channels_last) and kernels_for(x) is not None


def pooled_side(side: int, size: int, stride: int, ceil_mode: bool) -> int:
    """Windows along a side; the last one begins inside the image, as in torch."""
    overhang = stride - 1 if ceil_mode else 0
    count = (side - size + overhang) // stride + 1
    return count - 1 if (count - 1) * stride >= side else count


@custom_op("alexnet::max_pool2d", mutates_args=())
def _max_pool(x: Tensor, size: int, stride: int, ceil_mode: bool, wants_places: bool) -> tuple[Tensor, Tensor]:
    """Maxima, and where in their windows they are (uint8; empty unless wanted)."""
    y, places = _empty_results(x, size, stride, ceil_mode, wants_places)
    native = kernels()
    assert native
    native("pool_forward", x.dtype, x, y, places if wants_places else None, *_sizes(x, y), size, stride)
    return y, places


@custom_op("alexnet::max_pool2d_backward", mutates_args=())
def _max_pool_backward(grad: Tensor, places: Tensor, height: int, width: int, size: int, stride: int) -> Tensor:
    dx = _empty_channels_last(grad, height, width)
    native = kernels()
    assert native
    grad = grad.contiguous(memory_format=torch.channels_last)
    native("pool_backward", grad.dtype, grad, places, dx, *_sizes(dx, grad), size, stride)
    return dx


def _empty_results(x: Tensor, size: int, stride: int, ceil_mode: bool, wants_places: bool) -> tuple[Tensor, Tensor]:
    height, width = (pooled_side(side, size, stride, ceil_mode) for side in x.shape[2:])
    y = _empty_channels_last(x, height, width)
    return y, torch.empty_like(y, dtype=torch.uint8) if wants_places else x.new_empty(0, dtype=torch.uint8)


def _empty_channels_last(like: Tensor, height: int, width: int) -> Tensor:
    shape = (*like.shape[:2], height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _sizes(x: Tensor, y: Tensor) -> tuple[int, ...]:
    """As the kernels take them: images, height, width, maps, and height and width of what is pooled."""
    images, maps, height, width = x.shape
    return images, height, width, maps, y.shape[2], y.shape[3]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, ctx.size, ctx.stride, *_ = inputs
    ctx.sides = x.shape[2:]
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    (places,) = ctx.saved_tensors
    return _max_pool_backward(grad, places, *ctx.sides, ctx.size, ctx.stride), None, None, None, None


def _keep_places(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch names it)
    ctx.save_for_backward(inputs[1])
    ctx.size, ctx.stride = inputs[4:]


def _differentiate_twice(ctx: Any, grad_of_dx: Tensor) -> tuple[Tensor | None, ...]:
    """Every window takes what stands where its maximum was."""
    (places,) = ctx.saved_tensors
    rows, columns = (torch.arange(count) * ctx.stride for count in places.shape[2:])
    units = (rows[:, None] + places // ctx.size) * grad_of_dx.shape[3] + columns + places % ctx.size
    return grad_of_dx.flatten(2).gather(2, units.flatten(2)).view(places.shape), *[None] * 5


_max_pool.register_fake(_empty_results)
_max_pool_backward.register_fake(lambda grad, _, height, width, *__: _empty_channels_last(grad, height, width))
_max_pool.register_autograd(_differentiate, setup_context=_keep)
_max_pool_backward.register_autograd(_differentiate_twice, setup_context=_keep_places)
