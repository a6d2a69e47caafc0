"""What trying a claim finds: measured effects with their intervals, and what they say."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from alexnet.experiments.claims.intervals import LEAST_IMAGES, Interval

NO_INTERVAL = (
    f"none: fewer than {LEAST_IMAGES} images, or no difference between them or between seeds, so that nothing is known "
    "of the spread, nor of what would have been seen"
)

Verdict = Literal["as published", "opposite", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One measured quantity, counted so that more of it speaks for the claim.

    value, low, high: of the 95 % interval, None where there is none; high alone where the value is no more than a lower
    bound of the true one. neutral: the value that speaks neither way.
    published: the number, None where there is none. detectable: the smallest distance from `neutral` that would have
    been seen in 80 % of such trials. of_one_seed: nets were trained for it once, so that the interval, which is over
    images, says nothing of what training them again would give.
    """

    what: str
    unit: Literal["points", "times", "share"]
    value: float
    low: float | None = None
    high: float | None = None
    neutral: float = 0.0
    published: float | None = None
    detectable: float | None = None
    of_one_seed: bool = False

    @property
    def verdict(self) -> Verdict:
        """Whether the interval lies on one side of `neutral`; of one seed nothing follows."""
        if self.of_one_seed:
            return "cannot tell"
        if self.low is not None and self.low > self.neutral:
            return "as published"
        if self.high is not None and self.high < self.neutral:
            return "opposite"
        return "cannot tell"


def in_points(
    what: str, value: float, found: Interval | None, published: float | None = None, *, of_one_seed: bool = False
) -> Effect:
    """The effect that a value in percentage points and its interval stand for."""
    return Effect(
        what=what,
        unit="points",
        value=value,
        published=published,
        of_one_seed=of_one_seed,
        **(asdict(found) if found else {}),
    )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a trial found.

    ours: the number in words. verdict: None where nothing can be tested, see the claim's rule. setting: plain JSON, all
    that the number depends on. covers: what the intervals cover, and what they do not. details: plain JSON. draw:
    writes the picture; shows_data: there are images of the data in it, which are not ours to publish.
    """

    ours: str
    verdict: Verdict | None
    setting: Mapping[str, Any]
    effects: tuple[Effect, ...] = ()
    covers: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Path], None] | None = None
    shows_data: bool = False


def covered(effects: tuple[Effect, ...], words: str) -> str:
    """What the intervals cover, or why there are none."""
    return words if any(effect.low is not None for effect in effects) else NO_INTERVAL


def joint_verdict(effects: tuple[Effect, ...]) -> Verdict:
    """Of several that a claim is about alike: as published if all are, opposite if any is."""
    verdicts = {effect.verdict for effect in effects}
    if "opposite" in verdicts:
        return "opposite"
    return "as published" if verdicts == {"as published"} else "cannot tell"
