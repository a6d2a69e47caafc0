"""Filters scaled back after every update, where a recipe limits them.

Source: 2012 release, layer.py (`wball`, `wcNormMin`, `wcNormMax`), of which layer-params-99 and 107 to 118 make use.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from alexnet.arch.rows import Local
from alexnet.nn import Net
from alexnet.recipes import FilterLimits, Recipe


class Limiter:
    """Holds the filters of a net to the recipe's `row_limits`."""

    def __init__(self, net: Net, recipe: Recipe) -> None:
        weights = dict(net.named_parameters())
        self._limited = [
            (weights[f"{row}.weight"], limits, 2 if isinstance(net.spec[row], Local) else 1)
            for row, limits in recipe.row_limits.items()
        ]

    @contextmanager
    def around(self, _: int) -> Iterator[None]:
        """An update is made inside."""
        yield
        with torch.no_grad():
            for weight, limits, numbering in self._limited:
                weight.mul_(scales(weight, limits, numbering))


def scales(weight: Tensor, limits: FilterLimits, numbering: int = 1) -> Tensor:
    """What each filter is multiplied by: of (outputs, ...) as (outputs, 1, ...).

    numbering: how many dimensions say which filter it is; 2 of a local row's (positions, outputs, channels, k, k), each
    of whose positions has filters of its own.
    """
    filters = weight.flatten(numbering).flatten(0, numbering - 1)  # (filters, weights of one)
    count = filters.shape[1]
    scale = torch.ones(len(filters), device=weight.device, dtype=weight.dtype)
    if limits.longest:
        longest = limits.longest * count
        scale = (longest / filters.norm(dim=1)).clamp(max=1)
    if limits.least or limits.most:
        spread = scale * (filters - filters.mean(1, keepdim=True)).norm(dim=1) / count
        wanted = spread.clamp(min=limits.least, max=limits.most or None)
        scale = torch.where(spread > 0, scale * wanted / spread, scale)
    return scale.view(*weight.shape[:numbering], *[1] * (weight.ndim - numbering))
