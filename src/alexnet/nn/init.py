"""Initial weights and biases, as the rows say (paper sec. 5; the 2012 files' initW and initB)."""

import torch
from torch import nn

from alexnet.arch.rows import Weighted


def initialize(module: nn.Module, row: Weighted, generator: torch.Generator | None = None) -> None:
    """Draw N(0, weight_std^2) weights and set every bias to bias_init; None on the row keeps PyTorch's own values."""
    if row.weight_std is not None:
        nn.init.normal_(module.weight, std=row.weight_std, generator=generator)  # type: ignore[arg-type]
    if row.bias_init is not None and row.has_bias:
        nn.init.constant_(module.bias, row.bias_init)  # type: ignore[arg-type]
