"""What a claim is: what was published, on which data it can be tried and how; and a trial of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alexnet.data.splits import DataSet
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.settings import Setting
from alexnet.train.observer import Observer

RESULTS, RUNS = Path("results/claims"), Path("runs/claims")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the paper.

    published, author_log: the numbers in words, of the paper and of the comments in the 2012 release's files. settings:
    on which data it can be tried, and how; the first that fits is taken. num_weights: how many trained weights it looks
    at, at least and at most; without, it trains its own.
    """

    name: str
    statement: str
    source: str
    published: str
    author_log: str | None = None
    settings: tuple[Setting, ...]
    num_weights: tuple[int, int] | None = None
    run: Callable[["Study"], Finding]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a trial is asked for; None leaves it to the setting. out: for results; runs: for run folders.

    resume: go on with runs that were stopped. Finished ones are never run again.
    """

    data: str
    weights: tuple[str, ...] = ()
    seeds: int | None = None
    epochs: int | None = None
    out: Path = RESULTS
    runs: Path = RUNS
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
    def slug(self) -> str:
        """What the files of this trial are called: claim, data, and what was asked for."""
        limit, weights = self.asked.limit_train_batches, self.asked.weights
        words = [self.claim.name, self.dataset.name]
        words += [_short(Path(name)) for name in weights] if weights else [f"{self.setting.epochs}-epochs"]
        return "_".join([*words, *([f"{limit}-steps"] if limit else [])])


def _short(weights: Path) -> str:
    """A run folder by its name, a file by its folder's and its own: in run folders all are called alike."""
    return weights.resolve().name if weights.is_dir() else f"{weights.resolve().parent.name}-{weights.stem}"
