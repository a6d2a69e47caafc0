"""Who reaches a training error sooner: two nets, each at the best of several rates, seed by seed.

The training error is the running one of the log: the share of wrong answers that the net gives while it is trained,
before each update, averaged over every epoch and set at its middle; between two epochs it is taken as a straight line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import ceil, exp, inf, log
from pathlib import Path
from typing import Any

from alexnet.errors import DivergedError, InputError
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.drawing import draw_lines
from alexnet.experiments.claims.finding import Effect, Finding, Verdict, joint_verdict
from alexnet.experiments.claims.intervals import over_seeds
from alexnet.experiments.claims.training import Run, facts_of, folder_of, trained
from alexnet.experiments.claims.wording import describe_effect, describe_training
from alexnet.train.log import read_metrics, training_errors

Curve = tuple[list[float], list[float]]

MOST_RATES = 10  # of one net; ours: a net that is still not at its best is not one to race


@dataclass(frozen=True, kw_only=True)
class Race:
    """slower: an ablation of the setting's net, which is said to take `published` times as long to `target`, a training
    error from 0 to 1. lr: the rate that each net tries first, by seed 0; then the double and the half of the best one
    so far, until both are worse. None is given longer than the best before it took. The best is taken for all seeds.
    """

    slower: str
    target: float
    lr: float
    published: float


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A run by one rate. epochs: to the target, infinite where it is not reached or the loss was no number any more."""

    run: Run
    curve: Curve
    epochs: float

    @property
    def lowest(self) -> float:
        """The lowest error of any epoch."""
        return min(self.curve[1])


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One net's part. runs, epochs, curves: of every seed, at the best rate. tried: by the rate, all of seed 0; one
    that takes longer than the best before it does not reach the target.
    """

    runs: tuple[Run, ...]
    epochs: tuple[float, ...]
    curves: tuple[Curve, ...]
    tried: Mapping[float, Attempt]

    @property
    def net(self) -> str:
        """By name, with its ablation."""
        return self.runs[0].net

    @property
    def lr(self) -> float:
        """The best rate."""
        lr = self.runs[0].lr
        assert lr is not None
        return lr

    @property
    def at_end(self) -> str | None:
        """Whether the best rate is the last one tried on either side, beyond which a better one may lie."""
        rates = list(self.tried)
        return {min(rates): "lowest", max(rates): "highest"}.get(self.lr)

    @property
    def known_epochs(self) -> tuple[float, ...]:
        """To the target, or, where it is not reached, as far as the curve goes: it would take longer."""
        return tuple(min(epochs, curve[0][-1]) for epochs, curve in zip(self.epochs, self.curves, strict=True))


def race(race: Race, study: Study) -> Finding:
    """Train what is not trained yet, and take the times.

    Raises:
        InputError: as `trained` does, and where the target is not below chance.
    """
    if race.target >= 1 - 1 / len(study.dataset.classes):
        raise InputError(f"chance alone errs less than {race.target:.0%} here; give data with more classes")
    net = study.setting.net
    fast, slow = (_time(name, race, study) for name in (net, f"{net}+{race.slower}"))
    effects = _ratio(race, fast, slow)
    facts = [facts_of(folder_of(run, study, study.dataset)) for timed in (fast, slow) for run in timed.runs]
    return Finding(
        ours="; ".join([*_missed(race, study, (fast, slow)), *map(describe_effect, effects), *_untuned((fast, slow))]),
        verdict=_judge(effects, fast, slow),
        setting=describe_training(
            study, facts, net=net, changed=[slow.net], until_error=race.target, **_trained_on(study)
        ),
        effects=effects,
        covers=_covers(study.setting.seeds),
        details={
            "target_error": race.target,
            "nets": [
                {
                    "net": timed.net,
                    "lr": timed.lr,
                    "lr_at_end": timed.at_end,
                    "epochs": [_finite(epochs) for epochs in timed.epochs],
                    "epochs_by_lr": {f"{lr:g}": _finite(attempt.epochs) for lr, attempt in timed.tried.items()},
                    "lowest_error_by_lr": {f"{lr:g}": attempt.lowest for lr, attempt in timed.tried.items()},
                }
                for timed in (fast, slow)
            ],
        },
        draw=partial(_draw, race, (fast, slow)),
    )


def _judge(effects: tuple[Effect, ...], fast: Timed, slow: Timed) -> Verdict:
    """A net that comes out slower may be no slower where it may have a better rate."""
    verdict = joint_verdict(effects) if effects else "cannot tell"
    untuned = {"as published": slow.at_end, "opposite": fast.at_end}.get(verdict)
    return "cannot tell" if untuned else verdict


def _trained_on(study: Study) -> dict[str, Any]:
    """On what errors are measured: while the nets are trained."""
    return {"split": "train", "images": len(study.dataset.split("train")), "views": "as they are trained on"}


def epochs_to(curve: tuple[Sequence[float], Sequence[float]], target: float) -> float:
    """Where a curve of (epochs, errors) first comes down to `target`; infinite if it never does."""
    points = list(zip(*curve, strict=True))
    for (before, high), (after, low) in pairwise(points):
        if low <= target:
            return before + (after - before) * (high - target) / (high - low) if high > target else before
    return inf


def error_curve(records: Sequence[Mapping[str, Any]], num_classes: int) -> Curve:
    """(epochs, errors): chance at 0, then the mean running training error at the middle of every epoch."""
    by_epoch = training_errors(records)
    return [0.0, *(epoch - 0.5 for epoch in by_epoch)], [1 - 1 / num_classes, *by_epoch.values()]


def _time(net: str, race: Race, study: Study) -> Timed:
    setting = study.setting
    run = Run(net=net, recipe=setting.recipe, epochs=setting.epochs, seed=0, until_error=race.target)
    tried: dict[float, Attempt] = {}
    while (lr := _next_rate(race, tried)) is not None:
        # The error of an epoch stands at its middle: half an epoch more than the best took, and a better rate is there.
        limits = (ceil(attempt.epochs + 0.5) for attempt in tried.values() if attempt.epochs < inf)
        tried[lr] = _try(replace(run, lr=lr, epochs=min([setting.epochs, *limits])), race, study)
    best = tried[_best_rate(tried)]
    others = [_try(replace(run, lr=best.run.lr, seed=seed), race, study) for seed in range(1, setting.seeds)]
    runs, curves, epochs = zip(*((each.run, each.curve, each.epochs) for each in (best, *others)), strict=True)
    return Timed(runs=runs, epochs=epochs, curves=curves, tried=tried)


def _try(run: Run, race: Race, study: Study) -> Attempt:
    try:
        folder, diverged = trained(run, study), False
    except DivergedError as error:
        study.observer.say(f"{error}; this rate is too high")
        folder, diverged = folder_of(run, study, study.dataset), True
    curve = error_curve(read_metrics(folder), len(study.dataset.classes))
    return Attempt(run=run, curve=curve, epochs=inf if diverged else epochs_to(curve, race.target))


def _next_rate(race: Race, tried: Mapping[float, Attempt]) -> float | None:
    """The rate to try next; none where the double and the half of the best one are worse."""
    if not tried:
        return race.lr
    best = _best_rate(tried)
    beside = [lr for lr in (best * 2, best / 2) if lr not in tried]
    return beside[0] if beside and len(tried) < MOST_RATES else None


def _best_rate(tried: Mapping[float, Attempt]) -> float:
    """Of those that reach the target the soonest; if none does, the one that comes nearest, of equals the lowest."""
    return min(tried, key=lambda lr: (tried[lr].epochs, tried[lr].lowest, lr))


def _ratio(race: Race, fast: Timed, slow: Timed) -> tuple[Effect, ...]:
    """The ratio, or what it is at least where the slower net does not arrive; nothing where the faster one does not.

    Every ratio is its bound or more, so that an interval of bounds has no upper end, and its lower one holds.
    """
    if inf in fast.epochs or not all(slow.known_epochs):
        return ()
    is_bound = inf in slow.epochs
    ratios = [log(later / sooner) for later, sooner in zip(slow.known_epochs, fast.epochs, strict=True)]
    found = over_seeds(ratios)
    least = " at least" if is_bound else ""
    return (
        Effect(
            what=f"epochs to {race.target:.0%} training error, {slow.net} over {fast.net}:{least}",
            unit="times",
            value=exp(sum(ratios) / len(ratios)),
            low=exp(found.low) if found else None,
            high=exp(found.high) if found and not is_bound else None,
            neutral=1.0,
            published=race.published,
            detectable=exp(found.detectable) if found else None,
        ),
    )


def _missed(race: Race, study: Study, both: Sequence[Timed]) -> list[str]:
    """Who did not arrive, and when the other one did."""
    missed = [timed.net for timed in both if inf in timed.epochs]
    if not missed:
        return []
    words = (
        f"{race.target:.0%} training error was not reached in {study.setting.epochs} epochs by {' and '.join(missed)}"
    )
    arrived = [f", and in {max(timed.epochs):.1f} at most by {timed.net}" for timed in both if inf not in timed.epochs]
    return ["".join([words, *arrived])]


def _untuned(both: Sequence[Timed]) -> list[str]:
    """Whose rate may not be its best."""
    return [
        f"the best rate of {timed.net}, {timed.lr:g}, is the {timed.at_end} tried: a better one may lie beyond"
        for timed in both
        if timed.at_end
    ]


def _covers(seeds: int) -> str:
    """What the interval covers."""
    how = "rates chosen by seed 0; running training errors of the log"
    if seeds == 1:
        return f"none: one seed, so that nothing is known of the spread, nor of what would have been seen; {how}"
    return f"{seeds} seeds, paired; {how}"


def _finite(epochs: float) -> float | None:
    return epochs if epochs < inf else None


def _draw(race: Race, both: Sequence[Timed], path: Path) -> None:
    lines = {f"{timed.net}, rate {timed.lr:g}": timed.curves[0] for timed in both}
    draw_lines(lines, path, labels=("epochs", "training error while it is trained"), level=race.target)
