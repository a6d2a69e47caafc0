"""What a claim is: what was published, on which data it can be tried and how; and a trial of it."""

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet.data.splits import DataSet
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.settings import Setting
from alexnet.train.observer import Observer
from alexnet.weights import find_weights
from alexnet.weights.digest import weights_digest

RESULTS, RUNS, POPULATION = Path("results/claims"), Path("runs/claims"), Path("results/population")

BY_INTERVAL = (
    "the first measure alone decides: as published where its 95 % interval lies wholly on the published side of no "
    "effect, opposite where it lies on the other side, else cannot tell, as always where nets are trained with one "
    "seed; of given weights it is said of these alone; of several changes all must be as published, and one that is "
    "opposite is enough"
)
_LONGEST_NAME = 200  # bytes; file systems take 255, a part of which is for suffixes


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper.

    published, author_log: the numbers in words, of the paper and of the comments in the 2012 release's files. settings:
    on which data it can be tried, and how; the first that fits is taken. num_weights: how many trained weights it looks
    at, at least and at most; without, it trains its own. rule: how its verdict is found, or why there is none.
    """

    name: str
    statement: str
    source: str
    published: str
    author_log: str | None = None
    settings: tuple[Setting, ...]
    num_weights: tuple[int, int] | None = None
    rule: str = BY_INTERVAL
    run: Callable[["Study"], Finding]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a trial is asked for; None leaves it to the setting. out: for results; runs: for run folders; population:
    for the kernels of many runs.

    resume: go on with runs that were stopped. Finished ones are never run again.
    """

    data: str
    weights: tuple[str, ...] = ()
    seeds: int | None = None
    epochs: int | None = None
    out: Path = RESULTS
    runs: Path = RUNS
    population: Path = POPULATION
    device: str = "auto"
    workers: int = 2
    limit_train_batches: int | None = None
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """A claim, what was asked for, the data, and the setting with what was asked for put in."""

    claim: Claim
    asked: Asked
    dataset: DataSet
    setting: Setting
    observer: Observer

    @cached_property
    def held_out(self) -> str:
        """The split that errors are measured on: val, else test."""
        assert self.dataset.held_out is not None  # `open_study` has seen to it
        return self.dataset.held_out

    @property
    def command(self) -> str:
        """What tries it again."""
        asked = self.asked
        options = (
            ("data", self.dataset.name),
            *(("weights", where) for where in asked.weights),
            ("epochs", asked.epochs),
            ("seeds", asked.seeds),
            ("limit-train-batches", asked.limit_train_batches),
        )
        words = [f"--{name} {shlex.quote(str(value))}" for name, value in options if value is not None]
        return " ".join(["alexnet claims", self.claim.name, *words])

    @cached_property
    def slug(self) -> str:
        """What the files of this trial are called: claim, data, and what was asked for; at most 200 bytes."""
        limit, weights = self.asked.limit_train_batches, self.asked.weights
        runs = [f"{self.setting.epochs}-epochs", *([f"{limit}-steps"] if limit else []), f"{self.setting.seeds}-seeds"]
        words = [_short(name) for name in weights] if weights else runs
        return _fitting("_".join([self.claim.name, self.dataset.name, *words]))


def _short(weights: str) -> str:
    """A run folder by its name, a file by its folder's and its own, and what they compute: others may be called alike.
    What is not on the disk is a name already.
    """
    path = Path(weights)
    if not path.exists():
        return weights
    called = path.resolve().name if path.is_dir() else f"{path.resolve().parent.name}-{path.stem}"
    return f"{called}-{weights_digest(find_weights(weights))[:8]}"


def _fitting(name: str) -> str:
    """A name too long for a file: its beginning, and a hash of all of it."""
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name.encode()[: _LONGEST_NAME - len(digest) - 1].decode(errors='ignore')}-{digest}"
