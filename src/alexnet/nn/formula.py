"""y = x * base^-beta with base = k + window(x^2), the formula of all 2012 normalizations, in torch's own operations."""

from collections.abc import Callable

from torch import Tensor

Window = Callable[[Tensor], Tensor]


def normalized(x: Tensor, window: Window, k: float, beta: float) -> Tensor:
    """x * (k + window(x^2))^-beta."""
    return x * power(window(x * x) + k, beta)


def power(base: Tensor, beta: float) -> Tensor:
    """base^-beta; the 0.75 of every known net as two square roots, several times faster than pow."""
    if beta != 0.75:
        return base.pow(-beta)
    root = base.rsqrt()
    return root * root.sqrt()
