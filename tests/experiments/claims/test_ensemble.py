from dataclasses import replace

import pytest

from alexnet.errors import InputError
from alexnet.experiments.claims.ensemble import CLAIM, _check_alike
from alexnet.predict import load


def test_the_error_of_the_mean_is_compared_with_the_best_error_and_with_the_mean_of_the_errors(
    open_on_digits, digits_runs
):
    found = CLAIM.run(open_on_digits(CLAIM, weights=tuple(digits_runs)))
    alone, together = found.details["alone"], found.details["together"]
    assert len(alone) == 2
    assert alone[0] != alone[1]
    best, _, mean, _ = found.effects
    assert best.value == pytest.approx(100 * (min(alone) - together))
    assert mean.value == pytest.approx(100 * (sum(alone) / 2 - together))
    assert (best.published, mean.published) == (None, 2.6)
    assert found.verdict == best.verdict
    assert found.setting["weights"] == digits_runs


def test_a_net_twice_is_refused_under_any_name(open_on_digits, digits_runs):
    twice = (digits_runs[0], f"{digits_runs[0]}/last.safetensors")
    with pytest.raises(InputError, match="two of these weights are the same"):
        CLAIM.run(open_on_digits(CLAIM, weights=twice))


def test_nets_of_other_classes_or_sizes_are_refused(digits_runs):
    one = load(digits_runs[0], "torch", device="cpu")
    turned = replace(one.weights, classes=tuple(replace(info, name=f"no {info.name}") for info in one.classes))
    with pytest.raises(InputError, match="other classes, or in another order"):
        _check_alike([one, replace(one, weights=turned)])
    larger = replace(one.weights, preprocessing=replace(one.preprocessing, resize=20))
    with pytest.raises(InputError, match="images of other sizes"):
        _check_alike([one, replace(one, weights=larger)])
