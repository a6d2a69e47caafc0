"""Filters scaled back after every update, where a recipe limits them.

Source: 2012 release, layer.py (`wball`, `wcNormMin`, `wcNormMax`), of which layer-params-99 and 107 to 118 make use.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from alexnet.nn import Net
from alexnet.recipes import FilterLimits, Recipe


class Limiter:
    """Holds the filters of a net to the recipe's `row_limits`."""

    def __init__(self, net: Net, recipe: Recipe) -> None:
        weights = dict(net.named_parameters())
        self._limited = [(weights[f"{row}.weight"], limits) for row, limits in recipe.row_limits.items()]

    @contextmanager
    def around(self, _: int) -> Iterator[None]:
        """An update is made inside."""
        yield
        with torch.no_grad():
            for weight, limits in self._limited:
                weight.mul_(scales(weight, limits))


def scales(weight: Tensor, limits: FilterLimits) -> Tensor:
    """What each filter of (outputs, ...) is multiplied by, as (outputs, 1, ...)."""
    filters = weight.flatten(1)  # (outputs, weights of one)
    count = filters.shape[1]
    scale = torch.ones(len(filters), device=weight.device, dtype=weight.dtype)
    if limits.longest:
        longest = limits.longest * count
        scale = (longest / filters.norm(dim=1)).clamp(max=1)
    if limits.least or limits.most:
        spread = scale * (filters - filters.mean(1, keepdim=True)).norm(dim=1) / count
        wanted = spread.clamp(min=limits.least, max=limits.most or None)
        scale = torch.where(spread > 0, scale * wanted / spread, scale)
    return scale.view(-1, *[1] * (weight.ndim - 1))
