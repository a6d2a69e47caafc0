"""Variations of recipes: functions from Recipe to Recipe, joined to a recipe's name as in `krizhevsky-145+no-color`.

Each is refused for a recipe that does not do what it takes away. Standard library only.
"""

from collections.abc import Callable
from dataclasses import replace

from alexnet.errors import InputError
from alexnet.recipes.recipe import Linear, Pruning, Rates, Recipe, SharedValues, Steps

Variation = Callable[[Recipe], Recipe]

PRUNING_RATE, SHARING_RATE = 0.3, 0.05  # of a recipe's first rate; ours


def no_color(recipe: Recipe) -> Recipe:
    """No colour noise (sec. 4.1: it is worth over a point of top-1)."""
    _check(recipe, recipe.color_noise.base > 0, "colour noise")
    return replace(recipe, color_noise=Steps(0.0))


def no_crops(recipe: Recipe) -> Recipe:
    """Central crops alone, never mirrored (sec. 4.1: "substantial overfitting")."""
    _check(recipe, recipe.crops != "center" or recipe.flip, "random crops or mirrored images")
    return replace(recipe, crops="center", flip=False)


def no_decay(recipe: Recipe) -> Recipe:
    """No decay of any weight (sec. 5: it lowers the training error too)."""
    _check(recipe, any((recipe.weight_decay, recipe.bias_decay, *recipe.row_decay.values())), "decay")
    return replace(recipe, weight_decay=0.0, bias_decay=0.0, row_decay={})


def constant_rate(recipe: Recipe) -> Recipe:
    """The first rates to the end, so that a longer run begins as a shorter one does."""
    weights, biases = recipe.rates.weights, recipe.rates.biases
    plain = isinstance(weights, Steps) and isinstance(biases, Steps) and not recipe.row_rates
    _check(recipe, plain, "plain steps of all rates at once")
    return replace(recipe, rates=Rates(Steps(weights.base), Steps(biases.base)), hold_steps=0)


def fine_tune(recipe: Recipe) -> Recipe:
    """A trained net brought to other data: a tenth of the first rates, in a straight line down; few images a batch,
    since small sets have few. Ours, after Caffe's flickr_style.
    """
    weights, biases = (Linear(0.1 * rate.base) for rate in (recipe.rates.weights, recipe.rates.biases))
    return replace(
        recipe,
        epochs=20,
        batch_size=32,
        rates=Rates(weights, biases),
        row_rates={},
        hold_steps=0,
        crops="center" if recipe.crops == "center" else "image",
        image_share=Steps(1.0),
    )


def new_classifier(recipe: Recipe) -> Recipe:
    """Ten times the rates for the classifier, which begins anew where all else is trained (Caffe's flickr_style)."""
    return replace(recipe, classifier_factor=10.0)


def _check(recipe: Recipe, there: bool, what: str) -> None:
    if not there:
        raise InputError(f"recipe {recipe.name} has no {what} to take away; choose another recipe")


VARIATIONS: dict[str, Variation] = {
    "no-color": no_color,
    "no-crops": no_crops,
    "no-decay": no_decay,
    "constant-rate": constant_rate,
    "fine-tune": fine_tune,
    "new-classifier": new_classifier,
}


def pruning(recipe: Recipe, size: int) -> Recipe:
    """A trained net pruned to `size` bytes while it trains on, from `PRUNING_RATE` of its recipe's first rate down."""
    return _constrained(recipe, Pruning(bytes=size), PRUNING_RATE)


def sharing_values(recipe: Recipe) -> Recipe:
    """A trained net, pruned or not, made to share values, from `SHARING_RATE` of its recipe's first rate down."""
    return _constrained(recipe, SharedValues(), SHARING_RATE)


def _constrained(recipe: Recipe, constraint: Pruning | SharedValues, factor: float) -> Recipe:
    """No unit is dropped: what pruning leaves has less to overfit with (Han, Pool, Tran and Dally 2015, sec. 3.2).

    Differs: they lower the rate of dropout and keep some.
    """
    weights, biases = (Linear(factor * rate.base) for rate in (recipe.rates.weights, recipe.rates.biases))
    return replace(
        recipe,
        rates=Rates(weights, biases),
        row_rates={},
        hold_steps=0,
        dropout=False,
        image_share=Steps(1.0),
        constraint=constraint,
    )
