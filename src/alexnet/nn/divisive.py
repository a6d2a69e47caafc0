"""The formula of all 2012 normalizations: y = x * base^-beta with base = k + (a weighted sum of x^2 over a window).

Only the window differs (neighbouring maps, or a square of the same map), so a caller gives it as a linear function and
its transpose. In training nothing but the input is kept: the backward pass computes the base again, which costs less
than memory does. Compilers and exporters get the same formula as plain ops.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

Window = Callable[[Tensor], Tensor]


def divide_by_window(x: Tensor, window: Window, transposed: Window, *, k: float, beta: float) -> Tensor:
    """x * (k + window(x^2))^-beta, in the shape, dtype and memory format of `x`.

    `transposed` is the adjoint of `window`: sum(window(a) * b) == sum(a * transposed(b)) for all a, b.
    """
    with torch.autocast(x.device.type, enabled=False):
        if torch.compiler.is_compiling():
            return x * (window(x * x) + k).pow(-beta)
        return cast(Tensor, _DivideByWindow.apply(x, window, transposed, k, beta))  # type: ignore[no-untyped-call]


def _power(base: Tensor, beta: float) -> Tensor:
    """base^-beta; the 0.75 of every known net as two square roots, several times faster than pow."""
    if beta != 0.75:
        return base.pow(-beta)
    root = base.rsqrt()
    return root.mul_(root.sqrt())


class _DivideByWindow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window, transposed: Window, k: float, beta: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.window, ctx.transposed, ctx.k, ctx.beta = window, transposed, k, beta
        return _power(window(x * x).add_(k), beta).mul_(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # dL/dx = g base^-beta - 2 beta x * transposed(g x base^(-beta-1))
        (x,) = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):  # of the caller of backward()
            base = ctx.window(x * x).add_(ctx.k)
            direct = _power(base, ctx.beta).mul_(grad)
            indirect = ctx.transposed(base.reciprocal_().mul_(direct).mul_(x))
        return direct.sub_(indirect.mul_(x), alpha=2 * ctx.beta), None, None, None, None
