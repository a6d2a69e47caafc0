"""Changes are made inside what is packed too, which is packed again."""

import gzip
import io
import json
import pickle
import zipfile
import zlib
from contextlib import suppress
from random import Random

import pytest
from tests.fuzz.containers import LONGEST
from tests.fuzz.mutate import mutate

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
