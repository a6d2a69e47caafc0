"""Who watches a run: what it tells, and to whom."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """What work calls as it gets on."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """`count` more units are done; `note` is how it goes."""


class Observer(Protocol):
    """Who watches a run."""

    def say(self, line: str) -> None:
        """One line of news."""

    def progress(self, description: str, total: int, unit: str) -> AbstractContextManager[Advance]:
        """Work of `total` units begins; call what is given back as it gets on."""


class Printing:
    """Prints the news on stderr, and what long work begins."""

    def say(self, line: str) -> None:
        """One line."""
        print(line, file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, description: str, total: int, unit: str) -> Iterator[Advance]:
        """One line when it begins."""
        self.say(f"{description}: {total:,} {unit}")
        yield _pass_over


class Silent(Printing):
    """Watches nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


def _pass_over(count: int = 1, note: str = "") -> None:
    pass
