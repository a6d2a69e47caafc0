"""The fuzzer finds what it is there to find; what it found is a test beside the tests of each reader."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.fuzz.fuzzer import MOST_BYTES, _changed, _put, fuzz, judge
from tests.fuzz.targets import Target

from alexnet.errors import InputError


def reader(read: Callable[[Path], object]) -> Target:
    return Target(opens="file", modules=(), seeds=list, reads=(read,))


def refuse(_: Path) -> None:
    raise InputError("not this")


def fall_over(_: Path) -> None:
    {}["key"]


def take_memory(_: Path) -> None:
    bytearray(MOST_BYTES + (8 << 30))  # more than what a process that ran other tests has kept for reuse


def say_nothing(_: Path) -> None:
    raise InputError("")


@pytest.mark.parametrize(
    ("read", "words"),
    [(fall_over, "KeyError"), (take_memory, "64 MiB of memory"), (say_nothing, "several lines, or none")],
)
def test_what_falls_over_is_a_failure(read: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert words in str(judge(reader(read), tmp_path))


def test_what_takes_too_long_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.fuzzer.MOST_SECONDS", 0.0)
    (tmp_path / "file").write_bytes(b"content")
    assert judge(reader(Path.read_bytes), tmp_path) == "over 0 s"


@pytest.mark.parametrize("read", [refuse, Path.read_bytes])
def test_what_is_read_or_refused_is_none(read: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert judge(reader(read), tmp_path) is None


def test_a_file_beside_may_be_gone() -> None:
    target = Target(opens="a", modules=(), seeds=list)
    changed = [_changed(target, [{"a": b"1", "b": b"2"}], 1, Random(seed)) for seed in range(500)]
    assert {tuple(files) for files in changed} == {("a", "b"), ("a",)}


def test_files_of_another_input_are_gone(tmp_path: Path) -> None:
    _put(tmp_path, {"a": b"1", "b": b"2"})
    _put(tmp_path, {"a": b"3"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"3"}


def test_a_run_is_the_same_again(tmp_path: Path) -> None:
    """Of a target whose inputs are read fast; in processes of its own, one after the other."""
    pytest.importorskip("coverage")
    first, second = (fuzz("batches as pickles", 20, 1, tmp_path / name) for name in ("first", "second"))
    assert (first.inputs, first.kept, first.branches) == (second.inputs, second.kept, second.branches)
    assert first.failures == second.failures == {}
    names = sorted(path.name for path in (tmp_path / "first/kept").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "second/kept").iterdir())
    assert any(not name.startswith("seed") for name in names)
    assert first.branches[0] > 20
