"""Tensors for torch's own operations alone: operators made with `torch.library` know gradients, no other transform."""

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual


def is_transformed(x: Tensor) -> bool:
    """Whether `x` is inside of a transform of `torch.func` (grad, vmap, jvp ...), or carries a forward derivative.

    An operator of ours would be refused by some of them, and others would take its derivative for zero.
    """
    return torch._C._are_functorch_transforms_active() or unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]
