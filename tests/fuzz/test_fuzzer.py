"""The fuzzer finds what it is there to find; what it found is a test beside the tests of each reader."""

import gzip
import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from tests.fuzz.fuzzer import MOST_BYTES, fuzz, judge
from tests.fuzz.mutate import LONGEST, mutate
from tests.fuzz.targets import Target

from alexnet.errors import InputError


def reader(read: Callable[[Path], object]) -> Target:
    return Target(opens="file", modules=(), seeds=list, reads=(read,))


def refuse(_: Path) -> None:
    raise InputError("not this")


def fall_over(_: Path) -> None:
    {}["key"]


def take_memory(_: Path) -> None:
    bytearray(MOST_BYTES + (16 << 20))


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


PICKLED = pickle.dumps({"layers": [1, 2, "text"], "epoch": 3}, 2)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", PICKLED)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [PICKLED, gzip.compress(PICKLED), zipped(), b"[a]\nkey=1\n", b'{"a": [1, {"b": "c"}]}', b""],
    ids=["pickle", "gzip", "zip", "definition", "JSON", "empty"],  # not the bytes: archives hold the time
)
def test_changes_depend_on_the_seed_alone_and_are_changes(content: bytes) -> None:
    changed = [mutate(content, Random(seed), [b"other"]) for seed in range(100)]
    assert changed == [mutate(content, Random(seed), [b"other"]) for seed in range(100)]
    assert len(set(changed)) > 20
    assert max(map(len, changed)) <= LONGEST


def test_what_is_packed_is_changed_inside_and_packed_again() -> None:
    whole = 0
    for seed in range(200):
        with suppress(
            zlib.error,
            zipfile.BadZipFile,
            LookupError,
            OSError,
            EOFError,
            NotImplementedError,
            ValueError,
            RuntimeError,
        ):
            archive = zipfile.ZipFile(io.BytesIO(mutate(zipped(), Random(seed), [b"other"])))
            whole += archive.read("data") != PICKLED
    assert whole > 100  # with right sums: the library has checked them


def test_json_inside_json_is_changed_and_stays_json() -> None:
    content = json.dumps({"__metadata__": {"alexnet": json.dumps({"format": 1, "rows": [{"kind": "conv"}]})}}).encode()
    found = set()
    for seed in range(300):
        with suppress(ValueError, TypeError, LookupError):
            found.add(
                json.dumps(json.loads(json.loads(mutate(content, Random(seed), [b"x"]))["__metadata__"]["alexnet"]))
            )
    assert len(found) > 10


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
