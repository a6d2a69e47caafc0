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
_TAIL = (1 + CONFIDENCE) / 2


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its interval. detectable: the effect that a trial of this spread sees with a power of 80 %."""

    mean: float
    low: float
    high: float
    detectable: float


def over_seeds(differences: ArrayLike) -> Interval:
    """Of paired differences, one a seed (N,), N >= 2: Student's t, N - 1 degrees of freedom.

    The detectable effect is the usual sum of two quantiles of t times the standard error, a little too small for few
    seeds, where the noncentral t would be exact.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    values = np.asarray(differences, np.float64)
    student = scipy_stats().t(len(values) - 1)
    error = float(values.std(ddof=1)) / sqrt(len(values))
    return _interval(float(values.mean()), error, float(student.ppf(_TAIL)), float(student.ppf(POWER)))


def over_images(terms: Sequence[NDArray[np.float64]]) -> Interval:
    """Of a sum of means, each over images of its own (n,), n >= 2, such as a difference of two errors.

    Paired answers are to be subtracted image by image first: the interval is then that of McNemar's comparison, the
    normal one, which is good for the hundreds of images that an error is measured on. It says nothing of other seeds.
    """
    error = sqrt(sum(float(term.var(ddof=1)) / len(term) for term in terms))
    normal = NormalDist()
    return _interval(sum(float(term.mean()) for term in terms), error, normal.inv_cdf(_TAIL), normal.inv_cdf(POWER))


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


def _interval(mean: float, error: float, tail: float, power: float) -> Interval:
    return Interval(mean=mean, low=mean - tail * error, high=mean + tail * error, detectable=(tail + power) * error)
