"""What the weights are held to around every update, as the recipe says."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import nn

from alexnet.errors import InputError
from alexnet.nn import Net
from alexnet.recipes import Pruning, Recipe, SharedValues
from alexnet.train.limits import Limiter
from alexnet.train.pruning import Pruner
from alexnet.train.sgd import Sgd2012
from alexnet.train.sharing import ValueSharer

Around = Callable[[int], AbstractContextManager[None]]  # takes the number of the update, from 0


def constraint_of(net: nn.Module, optimizer: Sgd2012, recipe: Recipe, total_steps: int) -> Around:
    """What every update is to be made inside.

    Raises:
        InputError: the recipe has any, and the net is in parts.
    """
    if recipe.constraint is None and not recipe.row_limits:
        return lambda _: nullcontext()
    if not isinstance(net, Net):
        raise InputError(f"recipe {recipe.name} limits weights, which are in parts here; train with --parallel data")
    match recipe.constraint:
        case Pruning() as pruning:
            return Pruner(net, optimizer, pruning, total_steps).around
        case SharedValues() as shared:
            return ValueSharer(net, shared).around
        case None:
            return Limiter(net, recipe).around
