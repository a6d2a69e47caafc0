"""The recipes against the logs they come from. How a schedule becomes a rate: tests/train/test_schedule.py."""

import json
from dataclasses import replace

import pytest

from alexnet.arch import NETS
from alexnet.errors import InputError, UnknownNameError
from alexnet.recipes import (
    KRIZHEVSKY_145,
    RECIPES,
    DExp,
    Plateau,
    Poly,
    Rates,
    Recipe,
    Steps,
    default_recipe,
    find_recipe,
)
from alexnet.recipes.named import CIFAR_18PCT

# Net to recipe and side of the canvas that the crop is taken from.
PUBLISHED = {
    "krizhevsky-145": ("krizhevsky-145", 256),
    "paper-2012": ("paper", 256),
    "caffe": ("caffe", 256),
    "caffenet": ("caffe", 256),
    "one-weird-trick": ("one-weird-trick", 256),
    "cifar-80sec": ("cifar-80sec", 32),
    "cifar-18pct": ("cifar-18pct", 32),
    "cifar-13pct": ("cifar-13pct", 32),
    "cifar-11pct": ("cifar-11pct", 32),
    "cifar-relu": ("cifar-relu", 32),
    "cifar-towers": ("cifar-18pct", 32),
    "digits": ("digits", 18),
}


@pytest.mark.parametrize("net", NETS)
def test_every_net_has_its_recipe_and_so_have_its_ablations(net: str) -> None:
    name, canvas = PUBLISHED[net]
    recipe = default_recipe(net)
    assert recipe.name == name
    assert default_recipe(f"{net}+no-lrn+tanh") is recipe
    assert round(recipe.resize_ratio * NETS[net].input[1]) == canvas


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_no_recipe_makes_a_canvas_smaller_than_the_crop(recipe: Recipe) -> None:
    for spec in NETS.values():
        assert round(recipe.resize_ratio * spec.input[1]) >= spec.input[1]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_names_rows_that_its_nets_have(recipe: Recipe) -> None:
    """A misspelt row would train at the common rate without a word."""
    nets = [spec for name, spec in NETS.items() if default_recipe(name) is recipe]
    named = {*recipe.row_rates, *recipe.row_decay}
    assert all(row in spec for spec in nets for row in named)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_plain_json(recipe: Recipe) -> None:
    """Nothing but what JSON knows, so that a reader gets back what was written."""
    plain = recipe.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain.keys() == vars(recipe).keys()


def test_json_spells_every_kind_of_schedule() -> None:
    recipe = replace(
        KRIZHEVSKY_145,
        rates=Rates(Plateau(0.01), DExp(0.02, 250, 4)),
        row_rates={"conv1": Rates(Steps(0.01, ((0.5, 0.0),)), Steps(0.02))},
    )
    plain = json.loads(json.dumps(recipe.to_json()))
    dexp_defaults = {"frozen_from": None, "smooth": False, "noise": 0.0}
    assert plain["rates"] == {
        "weights": {"kind": "plateau", "base": 0.01, "factor": 10.0, "times": 3, "patience_epochs": 2},
        "biases": {"kind": "dexp", "base": 0.02, "factor": 250, "num_rates": 4} | dexp_defaults,
    }
    assert plain["row_rates"]["conv1"] == {
        "weights": {"kind": "steps", "base": 0.01, "drops": [[0.5, 0.0]]},
        "biases": {"kind": "steps", "base": 0.02, "drops": []},
    }


def rates_of(recipe: Recipe) -> list[float]:
    """Every rate that the recipe can come to, in a fixed order."""
    schedules = [
        schedule for rates in (recipe.rates, *recipe.row_rates.values()) for schedule in (rates.weights, rates.biases)
    ]
    later = [rate for each in schedules if isinstance(each, Steps) for _, rate in each.drops]
    return [schedule.base for schedule in schedules] + later


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_another_first_rate_scales_every_rate(recipe: Recipe) -> None:
    faster = recipe.with_lr(0.3)
    factor = 0.3 / recipe.rates.weights.base
    assert faster.rates.weights.base == pytest.approx(0.3, rel=1e-12)
    assert rates_of(faster) == pytest.approx([rate * factor for rate in rates_of(recipe)], rel=1e-12)
    assert replace(faster, rates=recipe.rates, row_rates=recipe.row_rates) == recipe
    assert rates_of(recipe.with_lr(recipe.rates.weights.base)) == pytest.approx(rates_of(recipe), rel=1e-12)


def test_another_first_rate_leaves_the_shape_of_a_schedule() -> None:
    recipe = replace(KRIZHEVSKY_145, rates=Rates(Plateau(0.01, 5.0, 2, 4), DExp(0.02, 250, 4))).with_lr(0.001)
    assert recipe.rates == Rates(Plateau(0.001, 5.0, 2, 4), DExp(0.002, 250, 4))


@pytest.mark.parametrize("lr", [0.0, -0.01, float("nan"), float("inf")])
def test_a_first_rate_that_cannot_train_is_refused(lr: float) -> None:
    with pytest.raises(InputError, match="learning rate"):
        KRIZHEVSKY_145.with_lr(lr)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_a_run_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        replace(KRIZHEVSKY_145, **{name: 0})


def test_an_unknown_recipe_offers_the_nearest() -> None:
    assert find_recipe("cifar-18pct") is CIFAR_18PCT
    with pytest.raises(UnknownNameError, match="did you mean caffe"):
        find_recipe("cafe")


def test_the_cifar_recipes_decay_as_their_parameter_files_say() -> None:
    """wc of conv rows and of the rows named; initial and last rates; epochs of the two drops."""
    decays = {name: (RECIPES[name].weight_decay, dict(RECIPES[name].row_decay)) for name in PUBLISHED if "pct" in name}
    assert decays == {
        "cifar-18pct": (0.004, {"fc10": 1.0}),
        "cifar-13pct": (0.004, {"conv1": 0.0, "conv2": 0.0}),
        "cifar-11pct": (0.004, {"conv1": 0.0, "conv2": 0.0, "fc10": 0.01}),
    }
    assert RECIPES["cifar-80sec"].row_decay == {"fc64": 0.03, "fc10": 0.03}
    assert CIFAR_18PCT.epochs * CIFAR_18PCT.rates.weights.drops[0][0] == pytest.approx(120)
    assert CIFAR_18PCT.epochs * CIFAR_18PCT.rates.weights.drops[1][0] == pytest.approx(130)


def test_large_batches_take_the_rates_that_they_were_published_with() -> None:
    """B. Ginsburg's Caffe files: rate 32, trust 0.001, five epochs of 39 steps to warm up, poly(2), 100 epochs."""
    recipe = RECIPES["lars"]
    assert (recipe.batch_size, recipe.epochs, recipe.update, recipe.trust) == (32_768, 100, "lars", 0.001)
    assert recipe.rates.weights == Poly(32.0, power=2.0)
    assert -(-1_281_167 // recipe.batch_size) * 5 == pytest.approx(recipe.warmup_steps, abs=5)
    assert recipe.with_lr(8.0).rates == Rates(Poly(8.0), Poly(16.0))
