from dataclasses import replace
from itertools import pairwise

import pytest

from alexnet.recipes import KRIZHEVSKY_145, RECIPES, DExp, Linear, Plateau, Poly, Recipe, Steps
from alexnet.train.schedule import crops_by_epoch, rate_at, recipe_progress, warmup_share

LOG_EPOCHS = 91
# Epoch of the 2012 run to the rate in force from then on: comments of layer-params-145.cfg (facts, section 4.2).
LOG = {
    "weights": {0: 0.01, 25: 0.001, 51: 0.0001, 79: 0.00001},
    "biases": {0: 0.02},
    "conv1 weights": {0: 0.01, 25: 0.001, 51: 0.0001, 67: 0.00001, 72: 0.0},
    "conv1 biases": {0: 0.02, 72: 0.0},
    "color noise": {0: 0.1, 67: 0.0},
}
SCHEDULES = {
    "weights": KRIZHEVSKY_145.rates.weights,
    "biases": KRIZHEVSKY_145.rates.biases,
    "conv1 weights": KRIZHEVSKY_145.row_rates["conv1"].weights,
    "conv1 biases": KRIZHEVSKY_145.row_rates["conv1"].biases,
    "color noise": KRIZHEVSKY_145.color_noise,
}


@pytest.mark.parametrize("epochs", [1, 10, 90, 91, 200])
@pytest.mark.parametrize("what", LOG)
def test_the_rates_of_the_2012_log_at_its_epochs_for_any_number_of_epochs(what: str, epochs: int) -> None:
    """Every change comes at the first step of its epoch and not one step before."""
    steps_per_log_epoch = 1000 * epochs  # so that an epoch of the log is a whole number of steps
    total_steps = LOG_EPOCHS * steps_per_log_epoch
    for epoch in range(LOG_EPOCHS):
        expected = LOG[what][max(start for start in LOG[what] if start <= epoch)]
        for step in (epoch * steps_per_log_epoch, (epoch + 1) * steps_per_log_epoch - 1):
            assert rate_at(SCHEDULES[what], recipe_progress(KRIZHEVSKY_145, step, total_steps)) == expected


@pytest.mark.parametrize(
    ("progress", "rate"),
    [
        *((0, 0.01), (0.25, 0.01), (0.2501, 0.0015874011), (0.5, 0.0015874011)),
        *((0.5001, 0.00025198421), (0.75, 0.00025198421), (0.7501, 0.00004), (1, 0.00004)),
    ],
)
def test_dexp_matches_the_golden_numbers(progress: float, rate: float) -> None:
    assert rate_at(DExp(0.01, 250, 4), progress) == pytest.approx(rate, rel=1e-7)


def test_dexp_of_one_rate_is_that_rate() -> None:
    assert [rate_at(DExp(0.01, 250, 1), progress) for progress in (0, 0.5, 1)] == [0.01] * 3


@pytest.mark.parametrize(
    ("progress", "rate"), [(0, 0.3), (0.499, 0.3), (0.5, 0.2), (0.749, 0.2), (0.75, 0.0), (1, 0.0)]
)
def test_steps_hold_each_rate_from_its_progress_on(progress: float, rate: float) -> None:
    assert rate_at(Steps(0.3, ((0.5, 0.2), (0.75, 0.0))), progress) == rate


@pytest.mark.parametrize("progress", [0, 0.5, 1])
def test_a_plateau_divides_at_each_and_stops_dividing_at_its_last(progress: float) -> None:
    """Progress does not matter to it."""
    rates = [rate_at(Plateau(0.01, factor=10, times=3), progress, plateaus) for plateaus in range(6)]
    assert rates == pytest.approx([0.01, 0.001, 0.0001, 0.00001, 0.00001, 0.00001], rel=1e-12)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("total_steps", [1, 3, 100, 12_345, 1_000_000])
def test_progress_goes_from_0_to_1_and_never_back(recipe: Recipe, total_steps: int) -> None:
    steps = [*range(0, total_steps, max(1, total_steps // 1000)), total_steps]
    progress = [recipe_progress(recipe, step, total_steps) for step in steps]
    assert progress[0] == 0
    assert progress[-1] == pytest.approx(1, abs=1e-12)
    assert all(before < after for before, after in pairwise(progress))


FIRST_DROP = 0.25
HELD = replace(
    KRIZHEVSKY_145, rates=replace(KRIZHEVSKY_145.rates, weights=Steps(1.0, ((FIRST_DROP, 0.1), (0.75, 0.01))))
)


@pytest.mark.parametrize(
    ("hold_steps", "first_drop", "second_drop"),
    [
        (0, 250, 750),
        (100, 250, 750),  # the recipe itself holds longer
        (400, 400, 800),  # two thirds of what is left after the first drop, as two thirds of 0.75 in the recipe
        (700, 700, 900),
        (10_000, 700, 900),  # 0.7 of the run at most
    ],
)
def test_the_first_rate_is_held_and_the_rest_squeezed(hold_steps: int, first_drop: int, second_drop: int) -> None:
    recipe = replace(HELD, hold_steps=hold_steps)
    rates = [rate_at(recipe.rates.weights, recipe_progress(recipe, step, 1000)) for step in range(1000)]
    changes = [step for step in range(1, 1000) if rates[step] != rates[step - 1]]
    assert rates[0] == 1.0
    assert rates[-1] == 0.01
    assert changes == pytest.approx([first_drop, second_drop], abs=1)  # a bent boundary may round to the next step
    assert recipe_progress(recipe, first_drop, 1000) == pytest.approx(FIRST_DROP, abs=1e-12)


def test_only_a_recipe_of_steps_holds_its_first_rate() -> None:
    for name in ("paper", "dexp"):
        recipe = replace(RECIPES[name], hold_steps=10_000)
        assert recipe_progress(recipe, 30, 100) == 0.3


def test_linear_falls_to_nothing_in_a_straight_line() -> None:
    assert [rate_at(Linear(0.4), progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx([0.4, 0.3, 0.2, 0])


def test_images_grow_at_the_epochs_that_the_recipe_names() -> None:
    growing = replace(KRIZHEVSKY_145, epochs=8, image_share=Steps(0.5, ((0.5, 5 / 7), (0.75, 1.0))))
    assert crops_by_epoch(growing, 224) == (112, 112, 112, 112, 160, 160, 224, 224)
    assert crops_by_epoch(replace(growing, epochs=3), 224) == (112, 112, 224)  # the last one as the net will be used
    assert crops_by_epoch(replace(growing, epochs=1), 224) == ()
    assert crops_by_epoch(KRIZHEVSKY_145, 224) == ()


def test_poly_is_a_power_of_what_is_left() -> None:
    rates = [rate_at(Poly(32.0), progress) for progress in (0, 0.25, 0.5, 1)]
    assert rates == pytest.approx([32, 18, 8, 0])
    assert rate_at(Poly(2.0, power=1.0), 0.25) == pytest.approx(1.5)


def test_a_warm_up_grows_in_a_straight_line_to_all() -> None:
    recipe = replace(KRIZHEVSKY_145, warmup_steps=4)
    assert [warmup_share(recipe, step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup_share(KRIZHEVSKY_145, 0) == 1
