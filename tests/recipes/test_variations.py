"""Variations of recipes: what each changes, and nothing else."""

from dataclasses import fields

import pytest

from alexnet.errors import InputError, UnknownNameError
from alexnet.recipes import RECIPES, VARIATIONS, Linear, Recipe, Steps, find_recipe, pruning, sharing_values
from alexnet.recipes.recipe import Pruning, SharedValues


def changed(recipe: Recipe, base: str) -> dict[str, object]:
    return {
        field.name: getattr(recipe, field.name)
        for field in fields(Recipe)
        if getattr(recipe, field.name) != getattr(RECIPES[base], field.name)
    }


@pytest.mark.parametrize(
    ("base", "variation", "values"),
    [
        ("krizhevsky-145", "no-color", {"color_noise": Steps(0.0)}),
        ("krizhevsky-145", "no-crops", {"crops": "center", "flip": False}),
        ("krizhevsky-145", "no-decay", {"weight_decay": 0.0}),
        ("cifar-18pct", "no-decay", {"weight_decay": 0.0, "row_decay": {}}),
        ("one-weird-trick", "no-decay", {"weight_decay": 0.0, "bias_decay": 0.0}),
    ],
)
def test_a_variation_changes_what_it_is_about_and_its_name(base: str, variation: str, values: dict) -> None:
    recipe = find_recipe(f"{base}+{variation}")
    assert changed(recipe, base) == {"name": f"{base}+{variation}", **values}


def test_a_constant_rate_is_the_first_one_to_the_end() -> None:
    recipe = find_recipe("cifar-relu+constant-rate")
    assert (recipe.rates.weights, recipe.rates.biases) == (Steps(0.001), Steps(0.002))
    assert changed(recipe, "cifar-relu").keys() == {"name", "rates"}


@pytest.mark.parametrize("base", RECIPES)
def test_fine_tuning_is_slower_in_all_rows_but_the_last_and_prepares_images_alike(base: str) -> None:
    recipe, slow = RECIPES[base], find_recipe(f"{base}+fine-tune+new-classifier")
    rates = slow.rates_of("conv1", is_classifier=False), slow.rates_of("fc8", is_classifier=True)
    first = recipe.rates
    assert [rate.weights.base for rate in rates] == pytest.approx([0.1 * first.weights.base, first.weights.base])
    assert [rate.biases.base for rate in rates] == pytest.approx([0.1 * first.biases.base, first.biases.base])
    assert {type(schedule) for rate in rates for schedule in vars(rate).values()} == {Linear}
    training = {"name", "epochs", "batch_size", "rates", "row_rates", "classifier_factor", "hold_steps", "image_share"}
    assert changed(slow, base).keys() <= training | {"crops"}
    assert slow.crops in ("image", recipe.crops)


def test_variations_are_joined() -> None:
    recipe = find_recipe("krizhevsky-145+no-color+no-decay")
    assert recipe.name == "krizhevsky-145+no-color+no-decay"
    assert (recipe.color_noise.base, recipe.weight_decay) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits+no-color", "recipe digits has no colour noise to take away"),
        ("cifar-18pct+no-crops", "no random crops or mirrored images"),
        ("cifar-relu+no-decay", "no decay"),
        ("krizhevsky-145+constant-rate", "no plain steps"),
        ("dexp+constant-rate", "no plain steps"),
        ("paper+constant-rate", "no plain steps"),
        ("krizhevsky-145+no-color+no-color", "no colour noise"),
    ],
)
def test_what_is_not_there_cannot_be_taken_away(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_recipe(name)


def test_an_unknown_variation_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown variation 'no-colour'; did you mean no-color"):
        find_recipe("krizhevsky-145+no-colour")
    with pytest.raises(UnknownNameError, match="unknown recipe 'krizhevski'"):
        find_recipe("krizhevski+no-color")


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_works_on_some_recipe_and_leaves_it_alone(name: str) -> None:
    worked = 0
    for recipe in list(RECIPES):
        before = RECIPES[recipe].to_json()
        try:
            find_recipe(f"{recipe}+{name}")
            worked += 1
        except InputError:
            pass
        assert RECIPES[recipe].to_json() == before
    assert worked


@pytest.mark.parametrize("base", RECIPES)
def test_a_net_is_made_small_at_lower_rates_and_without_dropout(base: str) -> None:
    recipe = RECIPES[base]
    pruned, shared = pruning(recipe, 1000), sharing_values(recipe)
    assert (pruned.constraint, shared.constraint) == (Pruning(bytes=1000), SharedValues())
    for small in (pruned, shared):
        assert not small.dropout
        assert isinstance(small.rates.weights, Linear)
        training = {"rates", "row_rates", "hold_steps", "dropout", "image_share", "constraint"}
        assert changed(small, base).keys() <= training
    for small, factor in ((pruned, 0.3), (shared, 0.05)):
        assert small.rates.weights == Linear(pytest.approx(factor * recipe.rates.weights.base))
        assert small.rates.biases == Linear(pytest.approx(factor * recipe.rates.biases.base))
