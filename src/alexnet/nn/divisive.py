"""The formula of all 2012 normalizations, y = x * base^-beta with base = k + (a weighted sum of x^2 over a window).

Only the window differs (neighbouring maps, or a square of the same map). `define_norm` makes a torch operator of one
from what describes it. In training nothing but the input is kept: the backward pass computes the base again, which
costs less than memory does. An operator runs a kernel (`alexnet.nn.native` on CPUs, `alexnet.nn.fused` on CUDA) where
there is one for what it is given, else the formula in torch's own operations.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.library import custom_op

from alexnet.nn import fused
from alexnet.nn.formula import Window, normalized, power
from alexnet.nn.native import kernels_for
from alexnet.nn.transformed import is_transformed

Windows = Callable[..., tuple[Window, Window]]
Operator = Callable[..., Tensor]


def normalize(x: Tensor, window: Window, k: float, beta: float) -> Tensor:
    """The formula in the dtype of `x`, whatever autocast says: differentiable, and known to compilers and exporters."""
    with torch.autocast(x.device.type, enabled=False):
        return normalized(x, window, k, beta)


def wants_formula(x: Tensor) -> bool:
    """Exporters and transforms know no operator of ours; a compiler for an accelerator fuses the formula with more."""
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting() or x.device.type != "cpu"
    return is_transformed(x)


def define_norm(
    name: str,
    settings: str,
    windows: Windows,
    kernel: str,
    layout: Callable[..., tuple[int, ...] | None],
    windows_to_fuse: Windows | None = None,
) -> Operator:
    """The operator alexnet::`name`(Tensor x, `settings`) -> Tensor, in the shape, dtype and memory format of `x`.

    settings: the schema after `x`; begins with `int size, float alpha, float beta, float k`, alpha for one term of the
        sum.
    windows: given x and what follows k, the window and its adjoint: sum(window(a) * b) == sum(a * adjoint(b)).
    kernel, layout: the native kernel, and the sizes that it takes for x and what follows k; None if it cannot.
    windows_to_fuse: the same windows in operations that a compiler makes one kernel of, where `windows` are none.

    Its gradient is the operator `name`_backward, which has a gradient too.
    """

    def run(grad: Tensor | None, x: Tensor, size: int, alpha: float, beta: float, k: float, *more: int) -> Tensor:
        if (native := kernels_for(x)) and (sizes := layout(x, *more)):
            result = torch.empty_like(x)
            native(
                kernel,
                x.dtype,
                None if grad is None else _laid_out_like(x, grad),
                x,
                result,
                *sizes,
                size,
                alpha,
                beta,
                k,
            )
            return result
        with torch.autocast(x.device.type, enabled=False):
            if fused.is_fused(x):
                window, adjoint = (windows_to_fuse or windows)(x, size, alpha, *more)
                if grad is None:
                    return _laid_out_like(x, fused.forward(x, window, k, beta))
                return _laid_out_like(x, fused.backward(_laid_out_like(x, grad), x, window, adjoint, k, beta))
            window, adjoint = windows(x, size, alpha, *more)
            return _forward(x, window, k, beta) if grad is None else _backward(grad, x, window, adjoint, k, beta)

    @custom_op(f"alexnet::{name}", mutates_args=(), schema=f"(Tensor x, {settings}) -> Tensor")
    def forward(x: Tensor, *values: Any) -> Tensor:
        return run(None, x, *values)

    @custom_op(f"alexnet::{name}_backward", mutates_args=(), schema=f"(Tensor grad, Tensor x, {settings}) -> Tensor")
    def backward(grad: Tensor, x: Tensor, *values: Any) -> Tensor:
        return run(grad, x, *values)

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch names it)
        ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)))
        ctx.settings = [value for value in inputs if not isinstance(value, Tensor)]

    def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return backward(grad, x, *ctx.settings), *[None] * len(ctx.settings)

    def differentiate_twice(ctx: Any, grad_of_grad: Tensor) -> tuple[Tensor | None, ...]:
        grad, x = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors)
        size, alpha, beta, k, *more = ctx.settings
        window, _ = windows(x, size, alpha, *more)
        with torch.enable_grad():
            (first,) = torch.autograd.grad(normalize(x, window, k, beta), x, grad, create_graph=True)
            second = torch.autograd.grad(first, (grad, x), grad_of_grad)
        return *second, *[None] * len(ctx.settings)

    forward.register_fake(lambda x, *_: torch.empty_like(x))
    backward.register_fake(lambda _, x, *__: torch.empty_like(x))
    forward.register_autograd(differentiate, setup_context=keep)
    backward.register_autograd(differentiate_twice, setup_context=keep)
    return cast(Operator, forward)


def _laid_out_like(x: Tensor, grad: Tensor) -> Tensor:
    """`grad` with the dtype and strides of `x`."""
    if grad.dtype == x.dtype and grad.stride() == x.stride():
        return grad
    return torch.empty_like(x).copy_(grad)


def _forward(x: Tensor, window: Window, k: float, beta: float) -> Tensor:
    return torch.mul(power(window(x * x).add_(k), beta), x, out=torch.empty_like(x))


def _backward(grad: Tensor, x: Tensor, window: Window, adjoint: Window, k: float, beta: float) -> Tensor:
    """dL/dx = g base^-beta - 2 beta x * adjoint(g x base^(-beta-1))."""
    base = window(x * x).add_(k)
    direct = power(base, beta).mul_(grad)
    indirect = adjoint(base.reciprocal_().mul_(direct).mul_(x))
    return torch.sub(direct, indirect.mul_(x), alpha=2 * beta, out=torch.empty_like(x))
