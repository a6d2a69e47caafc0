"""What each training run is, as data: rates, decay, augmentation, preprocessing. Standard library only.

Rates are functions of the run's progress, 0 to 1, so that `--epochs N` stretches or squeezes a recipe as a whole.
How a schedule becomes a rate: `alexnet.train.schedule`; how a rate becomes an update: `alexnet.train.sgd`.
"""

from dataclasses import replace

from alexnet.errors import UnknownNameError
from alexnet.recipes.named import KRIZHEVSKY_145, RECIPES
from alexnet.recipes.recipe import (
    DExp,
    Exp,
    FilterLimits,
    Linear,
    Momenta,
    Plateau,
    Poly,
    Pruning,
    Rates,
    Recipe,
    Schedule,
    SharedValues,
    Steps,
)
from alexnet.recipes.serial import recipe_from_json
from alexnet.recipes.variations import VARIATIONS, pruning, sharing_values

__all__ = [
    "KRIZHEVSKY_145",
    "RECIPES",
    "VARIATIONS",
    "DExp",
    "Exp",
    "FilterLimits",
    "Linear",
    "Momenta",
    "Plateau",
    "Poly",
    "Pruning",
    "Rates",
    "Recipe",
    "Schedule",
    "SharedValues",
    "Steps",
    "default_recipe",
    "find_recipe",
    "pruning",
    "recipe_from_json",
    "sharing_values",
]

# Nets whose recipe has another name than they have.
_RECIPE_OF_NET = {"paper-2012": "paper", "caffenet": "caffe", "cifar-towers": "cifar-18pct"}


def find_recipe(name: str) -> Recipe:
    """The named recipe, variations joined with `+`.

    Raises:
        UnknownNameError: no such recipe or variation; the message offers the nearest names.
        InputError: a variation that takes away what the recipe does not do.
    """
    base, *variations = name.split("+")
    if base not in RECIPES:
        raise UnknownNameError("recipe", base, RECIPES)
    recipe = RECIPES[base]
    for variation in variations:
        if variation not in VARIATIONS:
            raise UnknownNameError("variation", variation, VARIATIONS)
        recipe = replace(VARIATIONS[variation](recipe), name=f"{recipe.name}+{variation}")
    return recipe


def default_recipe(net: str) -> Recipe:
    """The recipe that a net was published with; ablations train as their net does."""
    base = net.split("+")[0]
    return RECIPES.get(_RECIPE_OF_NET.get(base, base), KRIZHEVSKY_145)
