"""What the processes of a run agree on. All of it is one start of two processes, see `agreeing`."""

import json
from pathlib import Path
from signal import SIGTERM
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.train.processes import run_ranks

from alexnet.data.damaged import DamagedImages
from alexnet.errors import ImageError
from alexnet.evaluate import Sums
from alexnet.train.ranks import DamagedAnywhere, Ranks
from alexnet.train.stop import StopRequest

Found = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("agreeing")
    done = run_ranks(["-m", "tests.train.agreeing", str(folder)])
    assert [each.status for each in done] == [0, 0], done
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def said(found: Found, name: str) -> list[Any]:
    return [each[name] for each in found]


def test_what_all_do_they_have(found: Found) -> None:
    assert said(found, "together") == [0, 10]
    assert said(found, "first") == [{"from": 0}] * 2
    assert said(found, "same") == [None] * 2
    assert said(found, "shared") == [None] * 2
    assert said(found, "still together") == [True] * 2


@pytest.mark.parametrize(
    ("name", "first", "other"),
    [
        ("one fails", ["InputError", "rank 1: bad words", 2, False], ["ToldElsewhereError", "bad words", 2, False]),
        (
            "first fails",
            ["OSError", "[Errno 28] full: 'x'", None, False],
            ["ToldElsewhereError", "[Errno 28] full: 'x'", 1, False],
        ),
        ("both fail", ["DataError", "data of 0", 2, True], ["DataToldElsewhereError", "data of 0", 2, True]),
        (
            "unforeseen",
            ["RunError", "rank 1: ValueError: odd", 1, False],
            ["ToldElsewhereError", "ValueError: odd", 1, False],
        ),
        ("first cannot", ["InputError", "cannot", 2, False], ["ToldElsewhereError", "cannot", 2, False]),
        ("nested", ["InputError", "rank 1: early", 2, False], ["ToldElsewhereError", "early", 2, False]),
        ("nested facts", ["InputError", "rank 1: early", 2, False], ["ToldElsewhereError", "early", 2, False]),
        (
            "broken",
            ["DataError", "rank 1: a shard is damaged", 2, True],
            ["DataToldElsewhereError", "a shard is damaged", 2, True],
        ),
    ],
)
def test_what_fails_in_one_fails_in_all_and_the_first_says_it(
    found: Found, name: str, first: list[Any], other: list[Any]
) -> None:
    assert said(found, name) == [first, other]


def test_other_facts_and_another_folder_are_named(found: Found) -> None:
    (kind, line, status, _), (other_kind, *_) = said(found, "other")
    assert (kind, status, other_kind) == ("InputError", 2, "ToldElsewhereError")
    assert line.startswith("rank 1 has another seed than rank 0: 1, not 0; start all with the same command")
    assert "is not the folder that rank 0 has there" in said(found, "not shared")[0][1]
    assert said(found, "left behind") == [[], []]


def test_measured_parts_are_added_up_and_damaged_images_counted_by_the_first(found: Found) -> None:
    assert said(found, "divide") == [[2, 4, 1, 9]] * 2
    assert said(found, "counted") == [4, 0]
    assert found[0]["said"] == [f"left out: {index}.png: damaged" for index in (0, 1, 5, 6)]
    assert found[1]["said"] == []


def test_one_damaged_image_too_many_anywhere_ends_all(found: Found) -> None:
    for name in ("one too many", "not borne"):
        (kind, line, _, _), (other, _, _, is_of_data) = said(found, name)
        assert (kind, other, is_of_data) == ("DataError", "DataToldElsewhereError", True)
        assert "images cannot be read" in line
    assert said(found, "borne") == [[[3, 3]]] * 2


def test_shares_are_those_of_all(found: Found) -> None:
    assert said(found, "shares") == [[[4, 5], [0, 1], [0, 0]]] * 2
    assert said(found, "ends early") == [[[2, 2], [2, 2]]] * 2
    assert said(found, "alike") == [[[4], [2]]] * 2


def test_where_all_have_the_same_images_those_are_left_out_that_one_cannot_read(found: Found) -> None:
    assert said(found, "not alike") == [[[[2, 3, 4], [2, 3, 4], [3]], [[7, 8], [7, 8], [2]]]] * 2
    assert {f"left out: image {rank}: damaged" for rank in range(2)} <= set(found[0]["later"])


def test_all_stop_where_one_is_asked_to(found: Found) -> None:
    for place in ("stopped", "stopped measuring"):
        assert [kind for kind, *_ in said(found, place)] == ["Stopped"] * 2
    assert said(found, "signal") == [SIGTERM] * 2


def test_one_process_alone_agrees_with_itself(tmp_path: Path) -> None:
    ranks, counted = Ranks(), DamagedImages(9, lambda _: None)
    damaged = DamagedAnywhere(ranks, counted)
    assert ranks.together(lambda: 3) == ranks.first(lambda: 3) == 3
    ranks.check_same({"a": 1})
    ranks.check_shared(tmp_path / "nowhere")
    damaged(ImageError("1.png"))
    assert (len(damaged), len(counted)) == (0, 1)
    assert ranks.divide(4, 1, lambda indices: Sums(0, 0, 0, len(indices)), damaged).images == 4
    batches = [SimpleNamespace(labels=np.zeros(3))]
    [(batch, share)] = ranks.shares(batches, StopRequest(), damaged, divides_images=True)
    assert (batch, share.sizes, ranks.is_first) == (batches[0], (3,), True)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([[2, 0], [2, 1], [2, 0], [2, 1]], 2),
        ([[4, 0], [4, 1], [4, 2], [4, 3]], 4),
        ([[1, 0]] * 4, 4),
        ([[3, 0], [3, 1], [3, 2], [1, 0]], 4),
        ([[2, 0], [2, 0], [2, 1], [2, 1]], 4),
        ([[2, 0], [2, 1], [2, 0]], 3),
    ],
    ids=["two of two", "one of four", "four of one", "three and one", "in another order", "one is missing"],
)
def test_machines_are_told_apart_where_they_are_alike(
    numbers: list[list[int]], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`numbers`: of each process, how many its machine has, and which of them it is."""
    monkeypatch.setattr(Ranks, "together", lambda *_: None)
    monkeypatch.setattr(Ranks, "_numbers", lambda *_: numbers)
    assert Ranks(0, len(numbers), here=numbers[0][0]).on_each_machine() == expected
