"""What a measured difference says about the true one: intervals of 95 %, and the smallest effect that would be seen.

Student's t and the exact binomial interval are SciPy's, which comes with scikit-learn (extra: demo).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alexnet.errors import MissingExtraError

CONFIDENCE, POWER = 0.95, 0.8
LEAST_IMAGES = 100  # ours: over fewer the normal interval is too narrow
_TAIL = (1 + CONFIDENCE) / 2
_FAR = 1000.0  # above every noncentrality that is looked for


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Of a mean, 95 %. detectable: the effect that a trial of this spread sees with a power of 80 %."""

    low: float
    high: float
    detectable: float


def over_seeds(differences: ArrayLike) -> Interval | None:
    """Of the mean of paired differences, one a seed (N,): Student's t, N - 1 degrees of freedom.

    None where nothing is known of the spread: of one seed, or of seeds that all give the same, as errors on few images
    do by chance.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2 or np.ptp(values) <= np.finfo(np.float64).eps * np.abs(values).max():
        return None
    tail = float(scipy_stats().t(len(values) - 1).ppf(_TAIL))
    error = float(values.std(ddof=1)) / sqrt(len(values))
    return _interval(float(values.mean()), error, tail, _noncentrality(len(values) - 1, tail))


def over_images(terms: Sequence[NDArray[np.float64]]) -> Interval | None:
    """Of a sum of means, each over images of its own (n,), such as a difference of two errors.

    Paired answers are to be subtracted image by image first: the interval is then that of McNemar's comparison, the
    normal one, which is good for the hundreds of images that an error is measured on. It says nothing of other seeds.
    None where there are too few images, or all of them give the same.
    """
    if min(map(len, terms)) < LEAST_IMAGES or not any(map(np.ptp, terms)):
        return None
    error = sqrt(sum(float(term.var(ddof=1)) / len(term) for term in terms))
    normal = NormalDist()
    tail = normal.inv_cdf(_TAIL)
    return _interval(sum(float(term.mean()) for term in terms), error, tail, tail + normal.inv_cdf(POWER))


def of_share(successes: int, trials: int) -> tuple[float, float]:
    """The interval of Clopper and Pearson for a probability, from 0 to 1.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    interval = scipy_stats().binomtest(successes, trials).proportion_ci(CONFIDENCE, "exact")
    return float(interval.low), float(interval.high)


def scipy_stats() -> Any:
    """`scipy.stats`, imported where it is needed.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy import stats  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise MissingExtraError("SciPy", "demo") from None
    return stats


def _noncentrality(freedom: int, tail: float) -> float:
    """How many standard errors an effect has to be for t to come out above `tail` with a probability of `POWER`."""
    from scipy.optimize import brentq  # type: ignore[import-untyped]

    above = scipy_stats().nct.sf
    found: float = brentq(lambda errors: above(tail, freedom, errors) - POWER, 0, _FAR)
    return found


def _interval(mean: float, error: float, tail: float, detectable: float) -> Interval:
    return Interval(low=mean - tail * error, high=mean + tail * error, detectable=detectable * error)
