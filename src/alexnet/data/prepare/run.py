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
from alexnet.data.prepare.report import Report, check_result, is_as_written, write_results
from alexnet.data.prepare.shrink import Job, Shrunk, shrink
from alexnet.data.prepare.sources import Source, open_source
from alexnet.data.prepared import PREPARED, SCRATCH
from alexnet.data.shards import write_shard
from alexnet.data.statistics import PixelSums
from alexnet.data.trees import FolderTree, is_hidden
from alexnet.errors import DataError, InputError, RunError
from alexnet.lock import hold
from alexnet.preprocess import canvas_size

_LEDGER = "ledger.sqlite"
_DISK_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
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
    known = Path(where).exists()  # else the name of a data set, or of a source that is gone
    place = str(Path(where).resolve())
    where = place if known else where
    _check_apart(Path(where), folder)
    _check_unused(folder)
    with _folder_if_of_use(folder), hold(folder):
        if report := Report.load(folder):
            _check_finished(report, folder, options, place if report.settings.get("source") == place else where)
            _discard(folder / SCRATCH)
            return Prepared(report, 0, monotonic() - start)
        remove_leftovers(folder)
        scratch = folder / SCRATCH
        scratch.mkdir(exist_ok=True)
        remove_leftovers(scratch)
        source = open_source(where, scratch)
        with _named(scratch / _LEDGER), _open_ledger(scratch / _LEDGER, source, where, options, watcher) as ledger:
            left = [shard for shard in ledger.shards() if not _is_whole(shard, folder)]
            num_left = sum(shard.last - shard.first + 1 for shard in left)
            with watcher.progress("prepare", num_left, "images") as advance:
                for shard in left:
                    _make_shard(shard, ledger, source, folder, options, workers, advance)
            check_result(ledger, folder, options.max_damaged)
            report = write_results(ledger, folder)
        _discard(scratch)
    return Prepared(report, num_left, monotonic() - start)


@contextmanager
def _folder_if_of_use(folder: Path) -> Iterator[None]:
    """Make the folder; take it away again where what was asked for failed before anything was planned."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new and not (folder / SCRATCH / _LEDGER).exists():
            _discard(folder)
        raise


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
    if not all(map(is_hidden, held)) and not held & {SCRATCH, PREPARED}:
        raise InputError(f"{folder} already holds other files; choose a new folder")


def _check_finished(report: Report, folder: Path, options: PrepareOptions, where: str) -> None:
    """Refuse a finished folder of something else, or one that is no longer as it was. The source need not be there.

    Raises:
        InputError: another source or setting.
        DataError: a file is gone, or a shard has changed.
    """
    source = report.settings.get("source")
    if source != where:
        raise InputError(
            f"{folder} is the finished preparation of {source}; use it as it is, or choose another folder for {where}"
        )
    check_settings(dict(report.settings), options.settings(where), folder)
    if spoilt := report.spoilt(folder):
        raise DataError(
            f"{folder / spoilt} is gone or has changed since it was prepared; copy it again, "
            f"or remove {folder} and give the same command"
        )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """SQLite's errors with the file that they are about, and what to do: a full disk is the likeliest by far."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_ERRORS:
            raise RunError(f"{path}: {error}; free some space there, then the same command goes on") from None
        folder = path.parent.parent
        raise RunError(f"{path}: damaged ({error}); remove {folder} and give the same command again") from None


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


def _is_whole(shard: Shard, folder: Path) -> bool:
    """Whether it was finished and its file, if it has images at all, is there as it was then."""
    return shard.num_images is not None and (not shard.digest or is_as_written(folder / shard.file_name, shard.digest))


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
    digest = sampled_digest(path) if total.num_images else ""
    if shard.digest is None:
        ledger.finish(shard, total, digest)
    elif digest != shard.digest:  # its images are counted already, and belong to other bytes
        raise DataError(
            f"{path} was lost, and cannot be made again as it was; remove {folder} and give the same command again"
        )


def _pieces(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    while piece := list(islice(jobs, _IMAGES_PER_JOB)):
        yield piece


def _discard(scratch: Path) -> None:
    """Delete what only an unfinished preparation needs."""
    if scratch.exists():
        shutil.rmtree(scratch)
