"""Coverage-guided fuzzing of what reads other people's files.

Good files are changed at random; what reaches a branch that nothing before has reached is kept, and changed further.
Each input is to be read, or refused with one line, within two seconds and little memory. Every kind of file has a
process of its own, so that one which dies or hangs is found out and replaced. An input depends on the seed, its number
and what was kept before it: a run gives the same inputs again.
"""

import json
import multiprocessing
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import Files
from tests.fuzz.targets import TARGETS, WRITERS, Target, set_up

import alexnet
from alexnet.errors import InputError

MOST_SECONDS = 2.0  # of processor time, under the tracer; a process that hangs is ended after several times as long
HANGS_AFTER_SECONDS = 30.0
STARTS_WITHIN_SECONDS = 600.0  # imports and good files take long where much else runs
MOST_BYTES = 64 << 20  # of memory, beside as much as the files have

_PACKAGE = Path(alexnet.__file__).parent


@dataclass
class Report:
    """What came of a target. branches: reached, and in all. failures: what went wrong, by the folder with the input."""

    inputs: int = 0
    kept: int = 0
    branches: tuple[int, int] = (0, 0)
    failures: dict[str, Path] = field(default_factory=dict)


def judge(target: Target, folder: Path) -> str | None:
    """What is wrong with how a target is read in `folder`; None if it is, or is refused as it should be."""
    found = [_judge(read, folder / target.opens, folder) for read in target.reads]
    return next(filter(None, found), None)


def _judge(read: Callable[[Path], object], path: Path, folder: Path) -> str | None:
    began = time.process_time()
    try:
        with _little_memory(sum(each.stat().st_size for each in folder.iterdir())):
            read(path)
    except InputError as error:
        if len(str(error).splitlines()) != 1:
            return f"an error of several lines, or none, {_place(error)}"
    except MemoryError as error:
        return f"over {MOST_BYTES >> 20} MiB of memory, {_place(error)}"
    except Exception as error:
        return f"{type(error).__name__}, {_place(error)}"
    seconds = time.process_time() - began
    return f"over {MOST_SECONDS:g} s" if seconds > MOST_SECONDS else None


def _place(error: BaseException) -> str:
    """Where in the package it was raised: what distinguishes one failure from another."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(_PACKAGE))]
    return (
        f"{Path(frames[-1].filename).relative_to(_PACKAGE)}:{frames[-1].lineno}" if frames else "outside of the package"
    )


@contextmanager
def _little_memory(size: int) -> Any:
    """A limit for as long as files of `size` bytes are read; only Linux keeps count of it."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + size + MOST_BYTES, before[1]))
    except FileNotFoundError:
        pass
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> Report:
    """`inputs` changed files of a target; failures, and what was kept, lie in `folder` afterwards.

    Seeds are of the nets as they are then: `set_up` comes first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for number, files in enumerate(TARGETS[name].seeds()):
        _put(folder / "kept" / f"seed-{number}", files)
    report = Report()
    while report.inputs < inputs:
        here, there = multiprocessing.get_context("spawn").Pipe()
        worker = multiprocessing.get_context("spawn").Process(
            target=_work, args=(name, inputs, seed, report.inputs, folder, there), daemon=True
        )
        worker.start()
        there.close()
        if end := _watch(here, report):
            worker.kill()
            worker.join()
            shutil.copytree(folder / "now", at := folder / f"failure-{report.inputs}")
            report.failures.setdefault(end if end == "hangs" else f"died (status {worker.exitcode})", at)
            report.inputs += 1
        worker.join()
    report.kept = len(list((folder / "kept").iterdir()))
    return report


def _watch(worker: Connection, report: Report) -> str:
    """Bring `report` up to date until a worker has no more to say; why it does not, empty where it is done."""
    patience = STARTS_WITHIN_SECONDS
    while worker.poll(patience):
        patience = HANGS_AFTER_SECONDS
        try:
            report.inputs, failure, branches = worker.recv()
        except EOFError:
            return "died"
        if failure:
            what, where = failure
            report.failures.setdefault(what, where)
        if branches:
            report.branches = branches
            return ""
    return "hangs"


def _work(name: str, inputs: int, seed: int, first: int, folder: Path, report: Connection) -> None:
    """The process that reads: tells for every input its number and what went wrong with it, at the end the branches."""
    set_up()
    target, seen = TARGETS[name], set[str]()
    target.lower_limits()
    with Tracer(target.modules, target.elsewhere) as tracer:
        kept = [_get(at) for at in sorted((folder / "kept").iterdir(), key=lambda at: at.stat().st_mtime_ns)]
        seeds = len(list((folder / "kept").glob("seed-*")))  # which come first
        for files in kept:
            if what := judge(target, _put(folder / "now", files)):
                seen.add(what)
                report.send((first, (what, folder / "kept"), None))
        tracer.has_news()
        report.send((first, None, None))
        for number in range(first, inputs):
            files = _changed(target, kept, seeds, Random(f"{seed} {name} {number}"))
            what = judge(target, _put(folder / "now", files))
            if tracer.has_news():
                kept.append(files)
                _put(folder / "kept" / str(number), files)
            failure = None
            if what and what not in seen:
                seen.add(what)
                failure = what, folder / f"failure-{number}"
                _put(failure[1], files)
            report.send((number + 1, failure, None))
    report.send((inputs, None, tracer.branches(folder / "branches.json")))


def _changed(target: Target, kept: list[Files], seeds: int, rng: Random) -> Files:
    """One of what was kept with one of its files changed, and sometimes one gone.

    The good files come first in it, and are taken half of the time: what is refused for one reason is read no further,
    whatever else is changed in it.
    """
    files = dict(rng.choice(rng.choice((kept[:seeds], kept[:seeds], kept, kept[-10:]))))
    if len(files) > 1 and rng.random() < 0.05:
        del files[rng.choice(sorted(files.keys() - {target.opens}))]
    name = rng.choice(list(files))
    others = [*(each[name] for each in rng.sample(kept, min(len(kept), 4)) if name in each)]
    others = [*others, *(word.encode() for word in target.words)] or [files[name]]
    return {**files, name: mutate(files[name], rng, others)}


def _put(folder: Path, files: Files) -> Path:
    """These files in a folder, and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    for other in {path.name for path in folder.iterdir()} - files.keys():
        (folder / other).unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _get(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Tracer:
    """Which branches of some modules of the package were taken while it was entered; functions that match are left out.

    elsewhere: a regular expression of such, besides that of all which only write.
    """

    def __init__(self, modules: Iterable[str], elsewhere: str = "") -> None:
        from coverage import Coverage

        self._files = [str(_PACKAGE / f"{name.replace('.', '/')}.py") for name in modules]
        self._coverage = Coverage(data_file=None, config_file=False, branch=True, include=self._files)
        self._coverage.exclude(f"{WRITERS}|{elsewhere}" if elsewhere else WRITERS)
        self._arcs = 0

    def __enter__(self) -> "Tracer":
        self._coverage.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._coverage.stop()

    def has_news(self) -> bool:
        """Has a way from a line to another been gone, since this was last asked, that never was before?"""
        data, before = self._coverage.get_data(), self._arcs
        self._arcs = sum(len(data.arcs(file) or ()) for file in self._files)
        return self._arcs > before

    def branches(self, report: Path) -> tuple[int, int]:
        """How many were taken, and how many there are; which, is written to `report`."""
        self._coverage.json_report(outfile=str(report))
        totals = json.loads(report.read_text())["totals"]
        return totals["covered_branches"], totals["num_branches"]
