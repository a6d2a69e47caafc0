"""How far long work is: a bar on a terminal, a line now and then elsewhere, always on stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from alexnet.train.observer import Advance

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 10.0


def say(line: str) -> None:
    """Print a line on stderr. Nobody may be there to read it (`2>&1 | head`): the work does not end for that."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Drop what `stream` refuses to take, now and later: the interpreter would fail on the same bytes at its end."""
    with suppress(OSError):  # a stream without a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def progress(description: str, total: int, unit: str) -> AbstractContextManager[Advance]:
    """Show the way to `total` units of work, with rate and remaining time: `with progress(...) as advance`."""
    return (_bar if sys.stderr.isatty() else _lines)(description, total, unit)


class Watcher:
    """Who watches a run for the command line: its news as lines on stderr, its work as bars."""

    def say(self, line: str) -> None:
        """Print one line of news."""
        say(line)

    def progress(self, description: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """A bar for work of `total` units."""
        return progress(description, total, unit)


@contextmanager
def _bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    with _rich_progress() as shown:
        task = shown.add_task(description, total=total, unit=unit, note="")

        def advance(count: int = 1, note: str = "") -> None:
            shown.update(task, advance=count, note=note)

        yield advance


def _rich_progress() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f} {task.fields['unit']}/s")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def _lines(description: str, total: int, unit: str) -> Iterator[Advance]:
    start = last = monotonic()
    done = 0

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done, last
        done += count
        if (now := monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate if rate else 0.0
            line = f"{description}: {done:,}/{total:,} {unit}, {rate:,.0f} {unit}/s, {left:,.0f} s left  {note}"
            say(line.rstrip())

    yield advance
