import sys
from math import sqrt

import numpy as np
import pytest

from alexnet.errors import MissingExtraError
from alexnet.experiments.claims.intervals import of_share, over_images, over_seeds


def test_over_seeds_is_students_interval():
    """t(0.975, 2) = 4.302653 of the printed tables; the standard error is 1 / sqrt(3)."""
    found = over_seeds([1.0, 2.0, 3.0])
    assert [found.low, found.high] == pytest.approx([2 - 4.302653 / sqrt(3), 2 + 4.302653 / sqrt(3)], abs=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_the_detectable_effect_is_seen_in_four_of_five_trials(seeds):
    rng = np.random.default_rng(0)
    seen, trials = 0, 4000
    spread = over_seeds(np.arange(seeds) / np.std(np.arange(seeds), ddof=1))  # of standard deviation 1
    for _ in range(trials):
        seen += over_seeds(rng.normal(spread.detectable, 1, seeds)).low > 0
    assert seen / trials == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize("differences", [[], [1.0], [0.0, 0.0], [0.84, 0.84, 0.84]])
def test_nothing_is_known_of_a_spread_that_was_not_seen(differences):
    assert over_seeds(differences) is None


@pytest.mark.parametrize("terms", [[np.arange(99.0)], [np.arange(100.0), np.arange(6.0)], [np.zeros(100)] * 2])
def test_few_images_or_equal_ones_have_no_interval(terms):
    assert over_images(terms) is None


def test_over_images_is_the_normal_interval_of_mcnemars_difference():
    """Of 100 images 30 are wrong by the first alone and 10 by the second alone: 0.2, variance (0.4 - 0.04) / 99."""
    differences = np.array([1.0] * 30 + [-1.0] * 10 + [0.0] * 60)
    found, error = over_images([differences]), sqrt(0.36 / 99)
    assert [found.low, found.high] == pytest.approx([0.2 - 1.959964 * error, 0.2 + 1.959964 * error], abs=1e-6)
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * error, abs=1e-6)


def test_means_over_other_images_add_their_variances():
    one, other = np.array([0.0, 1.0] * 50), np.array([0.0, 0.0, 0.0, 1.0] * 50)
    found = over_images([one, -other])
    error = sqrt(one.var(ddof=1) / 100 + other.var(ddof=1) / 200)
    assert found.high - found.low == pytest.approx(2 * 1.959964 * error, rel=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_intervals_hold_what_they_promise(share):
    """Of 2,000 trials with 400 images, about 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        found = over_images([(rng.random(400) < share).astype(float)])
        held += found.low <= share <= found.high
    assert 0.92 < held / 2000 < 0.97


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(10, 10, 0.025 ** (1 / 10), 1.0), (0, 5, 0.0, 1 - 0.025 ** (1 / 5)), (1, 1, 0.025, 1.0), (5, 10, 0.1871, 0.8129)],
)
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(successes, trials, low, high):
    assert of_share(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_a_missing_scipy_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtraError, match="SciPy"):
        over_seeds([1.0, 2.0])
