"""A preparation from its beginning, or from where it stopped, to its end."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol

from alexnet.atomic import remove_leftovers
from alexnet.data.cache import sampled_digest
from alexnet.data.prefetch import prefetch
from alexnet.data.prepare.ledger import Ledger, Shard
from alexnet.data.prepare.options import PrepareOptions, check_settings
from alexnet.data.prepare.plan import write_plan
from alexnet.data.prepare.report import Report, check_result, write_results
from alexnet.data.prepare.shrink import Job, Shrunk, shrink
from alexnet.data.prepare.sources import Source, open_source
from alexnet.data.prepared import PREPARED, SCRATCH
from alexnet.data.shards import write_shard
from alexnet.data.statistics import PixelSums
from alexnet.data.trees import FolderTree
from alexnet.errors import DataError, InputError, RunError
from alexnet.lock import LOCK_FILE, hold
from alexnet.preprocess import canvas_size

_LEDGER = "ledger.sqlite"
_IMAGES_PER_JOB = 32  # ours: a worker's piece of work, a few tenths of a second


class Watcher(Protocol):
    """Who is told how far the work is."""

    def say(self, line: str) -> None:
        """One line of news."""

    def progress(self, description: str, total: int, unit: str) -> AbstractContextManager[Callable[[int], None]]:
        """A bar for work of `total` units."""


@dataclass(frozen=True)
class Prepared:
    """What a command has done: `num_done` images in this run of it; none if all was there already."""

    report: Report
    num_done: int
    seconds: float


def prepare(where: str, folder: Path, options: PrepareOptions, watcher: Watcher, workers: int) -> Prepared:
    """Make shards of the images at `where` in `folder`, or go on with that.

    The bytes depend on the images and options alone, not on workers or interruptions. A shard is whole or not there.

    Raises:
        InputError: a folder in use, or one that holds something else or another preparation.
        DataError: images that do not make a data set, or too many damaged ones.
        OSError, RunError: the disk is full, the folder cannot be written.
    """
    start = monotonic()
    where = str(Path(where).resolve()) if Path(where).exists() else where
    _check_apart(Path(where), folder)
    _check_unused(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        if report := Report.load(folder):
            check_settings(dict(report.settings), options.settings(where), folder)
            _discard(folder / SCRATCH)
            return Prepared(report, 0, monotonic() - start)
        remove_leftovers(folder)
        scratch = folder / SCRATCH
        scratch.mkdir(exist_ok=True)
        remove_leftovers(scratch)
        source = open_source(where, scratch)
        with _named(scratch / _LEDGER), _open_ledger(scratch / _LEDGER, source, where, options, watcher) as ledger:
            num_left = ledger.num_left()
            with watcher.progress("prepare", num_left, "images") as advance:
                for shard in ledger.shards_left():
                    _make_shard(shard, ledger, source, folder, options, workers, advance)
            check_result(ledger, folder, options.max_damaged)
            report = write_results(ledger, folder)
        _discard(scratch)
    return Prepared(report, num_left, monotonic() - start)


def _check_apart(source: Path, folder: Path) -> None:
    """The result must not be among the images, nor the images in the result."""
    here = folder.resolve()
    if source == here or source in here.parents:
        raise InputError(f"{folder} is inside {source}, whose images are read; choose a folder beside it")


def _check_unused(folder: Path) -> None:
    blocking = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if blocking:
        raise InputError(f"{blocking} is a file, not a folder to write into; choose another one")
    held = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if held - {LOCK_FILE} and not held & {SCRATCH, PREPARED}:
        raise InputError(f"{folder} already holds other files; choose a new folder")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """SQLite's errors with the file that they are about; a full disk is the likeliest by far."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(f"{path}: {error}; free some space, then the same command goes on") from None


def _open_ledger(path: Path, source: Source, where: str, options: PrepareOptions, watcher: Watcher) -> Ledger:
    """The one that is there, if it belongs to the same images and settings; else a new one."""
    if not path.exists():
        write_plan(path, source, where, options, watcher.say)
        return Ledger(path)
    ledger = Ledger(path)
    folder = path.parent.parent
    check_settings(ledger.fact("settings"), options.settings(where), folder)
    if ledger.fact("fingerprint") != source.fingerprint(source.entries()):
        what = ledger.first_change(source.entries()) if isinstance(source, FolderTree) else "it is another file now"
        raise DataError(
            f"{where} has changed since its preparation into {folder} began: {what}; "
            f"undo that, or remove {folder} and begin again"
        )
    return ledger


def _make_shard(
    shard: Shard,
    ledger: Ledger,
    source: Source,
    folder: Path,
    options: PrepareOptions,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    total = Shrunk(PixelSums.zero(canvas_size(options.resize)))
    work = partial(shrink, source, options, shard.split == "train")

    def samples() -> Iterator[tuple[str, bytes, str, int]]:
        for done in prefetch(work, _pieces(ledger.jobs(shard)), workers, ahead=2 * workers):
            total.add_counts(done)
            yield from done.samples
            advance(done.num_images + len(done.damaged))

    path = folder / shard.file_name
    if write_shard(path, samples()) == 0:  # all are damaged: readers refuse a shard without images
        path.unlink()
    ledger.finish(shard, total, sampled_digest(path) if total.num_images else "")


def _pieces(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    while piece := list(islice(jobs, _IMAGES_PER_JOB)):
        yield piece


def _discard(scratch: Path) -> None:
    """Delete what only an unfinished preparation needs."""
    if scratch.exists():
        shutil.rmtree(scratch)
