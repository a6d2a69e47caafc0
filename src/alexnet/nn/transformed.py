"""Tensors for torch's own operations alone: operators made with `torch.library` know gradients, no other transform."""

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual


def is_transformed(x: Tensor) -> bool:
    """Whether `x` is inside of a transform of `torch.func` (grad, vmap, jvp ...), carries a forward derivative, or is
    on its way into a file of `torch.onnx` or `torch.jit.trace`.

    An operator of ours would be refused by some of them, and others would take its derivative for zero.
    """
    if torch._C._are_functorch_transforms_active() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True
    return unpack_dual(x).tangent is not None  # type: ignore[no-untyped-call]
