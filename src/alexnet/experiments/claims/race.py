"""Who reaches a training error sooner: two nets, each at the best of several rates, seed by seed.

The training error is the running one of the log: the share of wrong answers that the net gives while it is trained,
before each update, averaged over every epoch and set at its middle; between two epochs it is taken as a straight line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from math import exp, inf, log
from pathlib import Path
from typing import Any

from alexnet.errors import InputError, RunError
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.drawing import draw_lines
from alexnet.experiments.claims.finding import Effect, Finding
from alexnet.experiments.claims.intervals import over_seeds
from alexnet.experiments.claims.training import Run, folder_of, trained
from alexnet.experiments.claims.wording import describe_effect, describe_training
from alexnet.train.log import read_metrics

_DIVERGED = "diverged"


@dataclass(frozen=True, kw_only=True)
class Race:
    """slower: an ablation of the setting's net, which is said to take `published` times as long to `target`, a training
    error from 0 to 1. lrs: the rates that each net tries; the best one of seed 0 is taken for all seeds.
    """

    slower: str
    target: float
    lrs: tuple[float, ...]
    published: float


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One net's part. epochs: to the target, for every seed; infinite where it is not reached."""

    net: str
    lr: float
    epochs: tuple[float, ...]
    by_lr: Mapping[float, float]
    curve: tuple[list[float], list[float]]


def race(race: Race, study: Study) -> Finding:
    """Train what is not trained yet, and take the times.

    Raises:
        InputError: as `trained` does, and where the target is not below chance.
    """
    if race.target >= 1 - 1 / len(study.dataset.classes):
        raise InputError(f"chance alone errs less than {race.target:.0%} here; give data with more classes")
    net = study.setting.net
    fast, slow = (_time(name, race, study) for name in (net, f"{net}+{race.slower}"))
    effect = _ratio(race, fast, slow)
    folder = folder_of(_run(net, fast.lr, 0, study), study, study.dataset)
    return Finding(
        ours=_words(race, study, fast, slow, effect),
        verdict=effect.verdict,
        setting=describe_training(study, folder, net=net, changed=[slow.net]),
        effects=(effect,) if effect.value < inf else (),
        covers=f"{study.setting.seeds} seeds, paired; rates chosen by seed 0; running training errors of the log",
        details={
            "target_error": race.target,
            "nets": [
                {
                    "net": timed.net,
                    "lr": timed.lr,
                    "epochs": [_finite(epochs) for epochs in timed.epochs],
                    "epochs_by_lr": {f"{lr:g}": _finite(epochs) for lr, epochs in timed.by_lr.items()},
                }
                for timed in (fast, slow)
            ],
        },
        draw=partial(_draw, race, (fast, slow)),
    )


def epochs_to(curve: tuple[Sequence[float], Sequence[float]], target: float) -> float:
    """Where a curve of (epochs, errors) first comes down to `target`; infinite if it never does."""
    points = list(zip(*curve, strict=True))
    for (before, high), (after, low) in pairwise(points):
        if low <= target:
            return before + (after - before) * (high - target) / (high - low) if high > target else before
    return inf


def error_curve(records: Sequence[Mapping[str, Any]], num_classes: int) -> tuple[list[float], list[float]]:
    """(epochs, errors): chance at 0, then the mean running training error at the middle of every epoch."""
    of_training = (record for record in records if record["split"] == "train")
    middles, errors = [0.0], [1 - 1 / num_classes]
    for epoch, group in groupby(of_training, key=lambda record: int(record["epoch"])):
        values = [float(record["top1_error"]) for record in group]
        middles.append(epoch - 0.5)
        errors.append(sum(values) / len(values))
    return middles, errors


def _run(net: str, lr: float, seed: int, study: Study) -> Run:
    return Run(net=net, recipe=study.setting.recipe, epochs=study.setting.epochs, seed=seed, lr=lr)


def _time(net: str, race: Race, study: Study) -> Timed:
    curves = {lr: _curve(_run(net, lr, 0, study), study) for lr in race.lrs}
    by_lr = {lr: epochs_to(curve, race.target) for lr, curve in curves.items()}
    best = min(race.lrs, key=lambda lr: (by_lr[lr], min(curves[lr][1])))
    others = [_curve(_run(net, best, seed, study), study) for seed in range(1, study.setting.seeds)]
    times = (by_lr[best], *(epochs_to(curve, race.target) for curve in others))
    return Timed(net=net, lr=best, epochs=times, by_lr=by_lr, curve=curves[best])


def _curve(run: Run, study: Study) -> tuple[list[float], list[float]]:
    """The curve of a run; of one whose loss was no number any more, as far as it went, and it is not tried again."""
    folder = folder_of(run, study, study.dataset)
    if not (folder / _DIVERGED).is_file():
        try:
            folder = trained(run, study)
        except RunError as error:
            study.observer.say(f"{folder}: {error}; this rate is too high")
            (folder / _DIVERGED).touch()
    return error_curve(read_metrics(folder), len(study.dataset.classes))


def _ratio(race: Race, fast: Timed, slow: Timed) -> Effect:
    what = f"epochs to {race.target:.0%} training error, {slow.net} over {fast.net}:"
    times = [later / sooner for later, sooner in zip(slow.epochs, fast.epochs, strict=True) if sooner < inf]
    known = [ratio for ratio in times if ratio < inf]
    if len(known) < len(fast.epochs):
        return Effect(what=what, unit="times", value=inf, neutral=1.0, published=race.published)
    if len(known) == 1:
        return Effect(what=what, unit="times", value=known[0], neutral=1.0, published=race.published)
    found = over_seeds([log(ratio) for ratio in known])
    return Effect(
        what=what,
        unit="times",
        value=exp(found.mean),
        low=exp(found.low),
        high=exp(found.high),
        neutral=1.0,
        published=race.published,
        detectable=exp(found.detectable),
    )


def _words(race: Race, study: Study, fast: Timed, slow: Timed, effect: Effect) -> str:
    if effect.value < inf:
        return describe_effect(effect)
    missed = " and ".join(timed.net for timed in (fast, slow) if inf in timed.epochs)
    words = f"{race.target:.0%} training error was not reached in {study.setting.epochs} epochs by {missed}"
    longest = max(fast.epochs)
    return f"{words}, and in {longest:.1f} at most by {fast.net}" if longest < inf else words


def _finite(epochs: float) -> float | None:
    return epochs if epochs < inf else None


def _draw(race: Race, both: Sequence[Timed], path: Path) -> None:
    lines = {f"{timed.net}, rate {timed.lr:g}": timed.curve for timed in both}
    draw_lines(lines, path, labels=("epochs", "training error while it is trained"), level=race.target)
