"""What the processes of tests/train/test_ranks.py do: they agree, and differ, in every way; `python -m ... FOLDER`.

Each writes what came of it to FOLDER/RANK.json: by name, a value, or the class and words of an error.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from alexnet.data.damaged import DamagedImages
from alexnet.data.loader import Batch
from alexnet.errors import DataError, ImageError, InputError
from alexnet.evaluate import Sums
from alexnet.train.joining import joined
from alexnet.train.ranks import DamagedAnywhere, Ranks
from alexnet.train.stop import StopRequest


def fail(error: Exception) -> Any:
    raise error


def batches_of(sizes: list[int]) -> Any:
    return iter([batch_of(list(range(size))) for size in sizes])


def batch_of(indices: list[int]) -> Batch:
    """Of images and labels that say which they are, without noise."""
    numbers = np.array(indices, np.int64)
    return Batch(
        np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (len(indices), 3, 2, 2)), numbers, None, numbers
    )


def agree(ranks: Ranks, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    me = ranks.rank

    def note(name: str, work: Callable[[], Any]) -> None:
        try:
            found[name] = work()
        except Exception as error:
            status = getattr(error, "exit_status", None)
            kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "alexnet.errors"]
            found[name] = [type(error).__name__, str(error), status, "DataError" in kinds]

    note("together", lambda: ranks.together(lambda: me * 10))
    note("one fails", lambda: ranks.together(lambda: fail(InputError("bad words")) if me else 1))
    note("first fails", lambda: ranks.together(lambda: 1 if me else fail(OSError(28, "full", "x"))))
    note("both fail", lambda: ranks.together(lambda: fail(DataError(f"data of {me}"))))
    note("unforeseen", lambda: ranks.together(lambda: fail(ValueError("odd")) if me else 1))
    note("first", lambda: ranks.first(lambda: {"from": me}))
    note("first cannot", lambda: ranks.first(lambda: fail(InputError("cannot"))))
    note("nested", lambda: ranks.together(lambda: fail(InputError("early")) if me else ranks.first(lambda: 5)))
    note(
        "nested facts", lambda: ranks.together(lambda: fail(InputError("early")) if me else ranks.check_same({"a": 1}))
    )
    note("same", lambda: ranks.check_same({"net": "a", "seed": 3}))
    note("other", lambda: ranks.check_same({"net": "a", "seed": me}))
    note("shared", lambda: ranks.check_shared(folder))
    own = folder / str(me)
    own.mkdir()
    note("not shared", lambda: ranks.check_shared(own))
    found["left behind"] = [path.name for path in (*folder.iterdir(), *own.iterdir()) if "shared" in path.name]

    said: list[str] = []
    counted = DamagedImages(9, said.append)  # bears four
    damaged = DamagedAnywhere(ranks, counted)

    def measure(indices: Any) -> Sums:
        for index in indices[:2]:
            damaged(ImageError(f"{index}.png: damaged"))
        return Sums(1, 2, 0.5, len(indices))

    note("divide", lambda: list(ranks.divide(9, 1, measure, damaged)))
    found["counted"], found["said"] = len(counted), list(said)
    note("one too many", lambda: ranks.divide(9, 1, lambda _: fail_to_read(damaged, me), damaged))

    def shares(sizes: list[int], stop: StopRequest | None = None, divides: bool = True, bad: int = 0) -> list[Any]:
        hurt = DamagedAnywhere(ranks, DamagedImages(5, said.append))  # bears two
        for number in range(bad):
            hurt(ImageError(f"{me}-{number}.png"))
        return [
            list(share.sizes)
            for _, share in ranks.shares(batches_of(sizes), stop or StopRequest(), hurt, divides_images=divides)
        ]

    def broken() -> Any:
        yield SimpleNamespace(labels=np.zeros(2))
        raise DataError("a shard is damaged")

    note("shares", lambda: shares([4 + me, me, 0]))
    note("ends early", lambda: shares([2] * (2 + me)))
    note("alike", lambda: shares([4, 2], divides=False))
    apart = DamagedAnywhere(ranks, DamagedImages(90, said.append))

    def seen() -> list[Any]:
        """Each process cannot read another image of the first of two batches."""
        apart(ImageError(f"image {me}: damaged"))
        batches = [batch_of([index for index in range(5) if index != me]), batch_of([7, 8])]
        found = ranks.shares(batches, StopRequest(), apart, divides_images=False)
        return [[batch.images[:, 0, 0, 0].tolist(), batch.labels.tolist(), list(share.sizes)] for batch, share in found]

    note("not alike", seen)
    found["later"] = list(said)
    note("borne", lambda: shares([3], bad=1))
    note("not borne", lambda: shares([3], bad=2))
    asked = StopRequest()
    asked.signal = SIGTERM if me else None
    note("stopped", lambda: shares([3, 3], asked))
    found["signal"] = int(asked.signal or 0)
    asked = StopRequest()
    asked.signal = SIGTERM if me else None

    def measure_until_stopped(indices: Any) -> Sums:
        asked.check()
        return measure(indices[:0])

    note("stopped measuring", lambda: list(ranks.divide(9, 1, measure_until_stopped, damaged, asked)))
    nothing = DamagedAnywhere(ranks, fail)
    note(
        "broken",
        lambda: list(ranks.shares(broken() if me else batches_of([2, 2]), StopRequest(), nothing, divides_images=True)),
    )
    note("still together", lambda: ranks.together(lambda: True))
    return found


def fail_to_read(damaged: DamagedAnywhere, rank: int) -> Sums:
    damaged(ImageError(f"another of {rank}"))
    return Sums(0, 0, 0, 0)


if __name__ == "__main__":
    with joined(torch.device("cpu")) as ranks:
        found = agree(ranks, Path(sys.argv[1]))
        (Path(sys.argv[1]) / f"{ranks.rank}.json").write_text(json.dumps(found))
