"""The norms on CUDA outside of a compiled net: the formula by torch.compile, of which Inductor makes Triton kernels.

In a net that is compiled as a whole the formula is compiled with it (`divisive.wants_formula`). Elsewhere, stock
operations would go over the maps some ten times. Of the norm across maps Inductor makes one kernel, and two of its
gradient: the first for what every unit adds to the gradients of its neighbours.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from alexnet.nn.formula import Window, normalized, power

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

SWITCH = "ALEXNET_COMPILE"  # 0 turns compilers off, here and in training

# Ours: a norm of the 2012 net at some sixty images. One photo is not to wait seconds for a compiler.
LEAST_NUMBERS = 1 << 24


def may_compile() -> bool:
    """Whether the environment leaves torch.compile on."""
    return os.environ.get(SWITCH) != "0"


def is_fused(x: Tensor) -> bool:
    """Whether `x` is normalized by the functions below."""
    return x.device.type == "cuda" and x.numel() >= LEAST_NUMBERS and may_compile()


class FirstOf(Generic[Arguments, Result]):
    """A `fast` way to do something and a `plain` one, taken from the first failure of the other on.

    Why the fast way failed is told to `say`, once and in a line. Memory that is full is no failure of the way.
    """

    def __init__(
        self,
        fast: Callable[Arguments, Result],
        plain: Callable[Arguments, Result],
        what: str,
        say: Callable[[str], None],
    ) -> None:
        self._fast, self._plain, self._what, self._say = fast, plain, what, say
        self.is_fast = True

    def __call__(self, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        """What either way gives."""
        if self.is_fast:
            try:
                return self._fast(*arguments, **named)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # compilers fail in many ways, and none of them is to end a run
                self.is_fast = False
                reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
                self._say(f"{self._what} cannot be compiled and will be slower ({reason}); {SWITCH}=0 says so for good")
        return self._plain(*arguments, **named)


def forward(x: Tensor, window: Window, k: float, beta: float) -> Tensor:
    """x * (k + window(x^2))^-beta."""
    return _run(normalized, x, window, k, beta)


def backward(grad: Tensor, x: Tensor, window: Window, adjoint: Window, k: float, beta: float) -> Tensor:
    """dL/dx of it; `grad` is dL/dy, laid out like `x`."""
    shares = _run(_shares, grad, x, window, k, beta)
    return _run(_gradient, shares, grad, x, window, adjoint, k, beta)


def _shares(grad: Tensor, x: Tensor, window: Window, k: float, beta: float) -> Tensor:
    base = window(x * x) + k
    return grad * x * power(base, beta) / base


def _gradient(
    shares: Tensor, grad: Tensor, x: Tensor, window: Window, adjoint: Window, k: float, beta: float
) -> Tensor:
    return grad * power(window(x * x) + k, beta) - x * adjoint(shares) * (2 * beta)


def _run(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """One kernel for any number of images: the compiler is told that it varies, and the other sizes do not."""
    plain = [value.detach() if isinstance(value, Tensor) else value for value in arguments]
    for tensor in (value for value in plain if isinstance(value, Tensor)):
        torch._dynamo.maybe_mark_dynamic(tensor, 0)
        torch._dynamo.mark_static(tensor, list(range(1, tensor.ndim)))
    with torch.no_grad():
        return _compiled(function)(*plain)


@cache
def _compiled(function: Callable[..., Tensor]) -> FirstOf[..., Tensor]:
    return FirstOf(
        torch.compile(function, dynamic=False), function, "a norm", lambda line: warnings.warn(line, stacklevel=2)
    )
