"""Recipes come back from JSON as they were."""

import json

import pytest

from alexnet.errors import InputError
from alexnet.recipes import (
    RECIPES,
    VARIATIONS,
    Exp,
    FilterLimits,
    Momenta,
    Poly,
    Rates,
    Recipe,
    find_recipe,
    pruning,
    recipe_from_json,
    sharing_values,
)


def every_recipe() -> dict[str, Recipe]:
    found = dict(RECIPES)
    for base in RECIPES:
        for variation in VARIATIONS:
            try:
                found[f"{base}+{variation}"] = find_recipe(f"{base}+{variation}")
            except InputError:
                continue
    found["pruned"] = pruning(RECIPES["digits"], 1000)
    found["shared"] = sharing_values(RECIPES["caffe"])
    rates = Rates(Exp(0.1, 10.0, 0.5), Poly(0.2, 3.0))
    found["rows"] = Recipe(
        name="rows",
        source="test",
        epochs=3,
        rates=rates,
        row_rates={"fc8": rates},
        row_momenta={"fc8": Momenta(0.5, 0.0)},
        row_decay={"fc8": 1.0},
        row_limits={"fc8": FilterLimits(longest=1e-3)},
    )
    return found


EVERY = every_recipe()


@pytest.mark.parametrize("recipe", EVERY.values(), ids=EVERY)
def test_every_recipe_comes_back_equal_from_json_text(recipe: Recipe) -> None:
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json(), allow_nan=False))) == recipe


@pytest.mark.parametrize("stored", [None, [], {"name": "x"}, {"rates": {"weights": {"kind": "cosine"}}}, {"speed": 3}])
def test_what_is_no_recipe_is_refused(stored: object) -> None:
    with pytest.raises(InputError, match="not a stored recipe"):
        recipe_from_json(stored)
