from dataclasses import replace

import pytest

from alexnet.experiments.claims.finding import NO_INTERVAL, Effect, covered, joint_verdict


def effect(low, high, neutral=0.0) -> Effect:
    return Effect(what="x", unit="points", value=0.0, low=low, high=high, neutral=neutral)


@pytest.mark.parametrize(
    ("low", "high", "neutral", "verdict"),
    [
        (0.1, 2.0, 0.0, "as published"),
        (-2.0, -0.1, 0.0, "opposite"),
        (-0.1, 2.0, 0.0, "cannot tell"),
        (0.0, 2.0, 0.0, "cannot tell"),
        (None, None, 0.0, "cannot tell"),
        (0.5, 0.9, 1.0, "opposite"),
        (1.5, 8.0, 1.0, "as published"),
    ],
)
def test_the_verdict_is_the_side_on_which_the_whole_interval_lies(low, high, neutral, verdict):
    assert effect(low, high, neutral).verdict == verdict


def test_one_seed_decides_nothing():
    assert replace(effect(1, 2), of_one_seed=True).verdict == "cannot tell"


def test_where_no_effect_has_an_interval_nothing_is_covered():
    assert covered((effect(None, None), effect(1, 2)), "seeds") == "seeds"
    assert covered((effect(None, None),), "seeds") == NO_INTERVAL


def test_several_effects_are_as_published_only_if_all_are():
    good, bad, open_ = effect(1, 2), effect(-2, -1), effect(-1, 1)
    assert joint_verdict((good, good)) == "as published"
    assert joint_verdict((good, open_)) == "cannot tell"
    assert joint_verdict((good, open_, bad)) == "opposite"
