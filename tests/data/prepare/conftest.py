import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alexnet.data.prepare.options import PrepareOptions
from alexnet.data.prepare.run import Prepared, prepare


class Silent:
    """Nobody watches."""

    def say(self, line: str) -> None:
        raise AssertionError(line)  # what takes less than ten seconds needs no news

    @contextmanager
    def progress(self, *_: object) -> Iterator[Callable[[int], None]]:
        yield lambda _: None


@pytest.fixture
def prepared() -> Callable[..., Prepared]:
    """`prepare(SRC, DST, **options)` at 16 pixels."""

    def run(source: Path | str, folder: Path, workers: int = 2, **options: Any) -> Prepared:
        return prepare(str(source), folder, PrepareOptions(**{"size": 16} | options), Silent(), workers)

    return run


@pytest.fixture
def digests() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of every file below a folder, by its path."""

    def run(folder: Path) -> dict[str, str]:
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return run
