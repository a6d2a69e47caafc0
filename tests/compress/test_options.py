from dataclasses import replace
from math import inf, nan

import pytest

from alexnet.compress import CompressOptions
from alexnet.errors import InputError
from alexnet.recipes import pruning, sharing_values
from alexnet.recipes.named import DIGITS
from alexnet.weights import Weights


@pytest.mark.parametrize("mib", [inf, nan, -inf, 0, -1, 1e300])
def test_a_size_is_a_number_above_zero(mib: float) -> None:
    with pytest.raises(InputError, match="--mib is a size above 0"):
        CompressOptions(data=None, mib=mib)


@pytest.mark.parametrize("lr", [inf, nan, 0, -1.0])
def test_a_rate_is_a_number_above_zero(lr: float) -> None:
    with pytest.raises(InputError, match="--lr is a number above 0"):
        CompressOptions(data=None, lr=lr)


def test_settings_are_what_decides_the_runs_and_nothing_else(tiny_weights: Weights) -> None:
    asked = CompressOptions(data="photos", mib=0.5, limit_train_batches=3)
    settings = asked.settings(tiny_weights)
    assert settings.keys() >= {"--mib", "--epochs", "--batch-size", "--lr", "--seed", "--precision"}
    moved = replace(asked, data="elsewhere/photos", device="cpu", workers=7, licence="MIT", reduce_to=64)
    assert moved.settings(tiny_weights) == settings
    assert replace(asked, epochs=3).settings(tiny_weights) != settings
    assert replace(asked, lr=0.1).settings(tiny_weights) != settings
    others = replace(tiny_weights, tensors={**tiny_weights.tensors, "fc4.bias": tiny_weights.tensors["fc4.bias"] + 1})
    assert asked.settings(others) != settings


def test_a_rate_that_is_asked_for_scales_both_runs_alike() -> None:
    first, second = (recipe.rates.weights.base for recipe in (pruning(DIGITS, 1), sharing_values(DIGITS)))
    assert CompressOptions(data=None, lr=7 * first).sharing_lr == pytest.approx(7 * second)
    assert CompressOptions(data=None).sharing_lr is None
