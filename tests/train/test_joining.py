"""Processes that cannot work together say so, once, and all of them end."""

import json
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.processes import Ended, begun, ended, environment, of_rank, run_ranks

from alexnet.errors import InputError
from alexnet.train import joining
from alexnet.train.joining import joined
from alexnet.train.launch import VARIABLES

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_one_process_alone_joins_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with joined(CPU) as ranks:
        assert (ranks.count, ranks.group) == (1, None)
    for name, value in of_rank(0, 1, 1).items():
        monkeypatch.setenv(name, value)
    with joined(CPU) as ranks:
        assert (ranks.count, ranks.group) == (1, None)


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_missing_variable_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in of_rank(1, 2, 1).items():
        if name != missing:
            monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=rf"is set, but not {missing}; start all processes with torchrun"), joined(CPU):
        pass


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RANK", "first", "RANK is first and WORLD_SIZE is 2; start all processes with torchrun"),
        ("RANK", "2", "RANK is 2 and WORLD_SIZE is 2"),
        ("RANK", "-1", "RANK is -1 and WORLD_SIZE is 2"),
        ("WORLD_SIZE", "0", "RANK is 1 and WORLD_SIZE is 0"),
        ("LOCAL_RANK", "", "LOCAL_RANK is and LOCAL_WORLD_SIZE is 2"),
        ("LOCAL_WORLD_SIZE", "x", "LOCAL_RANK is 1 and LOCAL_WORLD_SIZE is x"),
        ("LOCAL_WORLD_SIZE", "0", "LOCAL_RANK is 1 and LOCAL_WORLD_SIZE is 0"),
    ],
)
def test_variables_that_cannot_be_are_refused(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, number in (of_rank(1, 2, 1) | {name: value}).items():
        monkeypatch.setenv(each, number)
    with pytest.raises(InputError, match=words), joined(CPU):
        pass


@pytest.mark.parametrize("rank", [0, 1])
def test_a_port_in_use_is_named(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a service that takes the connection and says nothing, which torch would wait for without end."""
    monkeypatch.setattr(joining, "JOINING", timedelta(seconds=1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for name, value in of_rank(rank, 2, taken.getsockname()[1]).items():
            monkeypatch.setenv(name, value)
        words = rf"rank {rank} of 2 found no others at 127\.0\.0\.1:.* free port"
        with pytest.raises(InputError, match=words), joined(CPU):
            pass


def arguments(photos: Path, out: Path, *options: str, **settings: Any) -> list[str]:
    run = ["train", str(photos), "--out", str(out), "--net", "digits", "--epochs", "1", "--batch-size", "16"]
    rest = ["--precision", "fp32", "--device", "cpu", "--workers", "1", "--limit-train-batches", "4"]
    return ["-m", "tests.train.disturbed", json.dumps({"every": 2} | settings), *run, *rest, *options]


def assert_one_line(done: list[Ended], words: str, status: int) -> None:
    assert {each.status for each in done} == {status}, done
    lines = [line for each in done for line in each.lines]
    assert len(lines) == 1, lines
    assert words in lines[0]
    assert done[0].lines == lines
    assert all("Traceback" not in each.stderr for each in done)


def test_a_full_disk_of_the_first_ends_all(photos: Path, tmp_path: Path) -> None:
    done = run_ranks(arguments(photos, tmp_path / "run", full=[0, 4]))
    assert_one_line(done, "no space left on the disk", 1)
    assert "alexnet train" in done[0].stderr  # how to go on


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("other", "settings", "words"),
    [
        ((), {"version": [1, "0.0.1"]}, "rank 1 has another version of alexnet than rank 0: 0.0.1"),
        (("--seed", "5"), {}, "rank 1 has another seed than rank 0: 5, not 0"),
        (("--net", "cifar-relu"), {}, "rank 1 has another net than rank 0"),
        (("--net", "cifar-real"), {}, "rank 1: unknown net 'cifar-real'"),
        (("--parallel", "towers"), {}, "rank 1 has another --parallel than rank 0: towers, not data"),
    ],
)
def test_processes_that_would_do_other_things_are_refused(
    photos: Path, tmp_path: Path, other: tuple[str, ...], settings: dict[str, Any], words: str
) -> None:
    ours = arguments(photos, tmp_path / "run", **settings)
    assert_one_line(run_ranks(ours, different={1: [*ours, *other]}), words, 2)


@pytest.mark.distributed
@pytest.mark.parametrize("resumes", [False, True])
def test_what_is_missing_in_one_before_the_run_has_a_folder_is_said_at_once(
    photos: Path, tmp_path: Path, resumes: bool
) -> None:
    """While the others ask on: they have ten minutes for an answer, and this test has two."""
    ours = arguments(photos, tmp_path / "run")
    place = ours.index("--out")
    nowhere = [*ours[:place], *ours[place + 2 :]]
    there = arguments(tmp_path / "nothing", tmp_path / "run")
    if resumes:
        done = run_ranks(ours, different={1: [*nowhere, "--resume"]}, limit=120)
        assert_one_line(done, "--resume continues the run in --out", 2)
    else:
        done = run_ranks(nowhere, different={1: [*there[:place], *there[place + 2 :]]}, limit=120)
        assert_one_line(done, "rank 1: ", 2)
        assert "nothing: no such folder" in done[0].stderr


@pytest.mark.distributed
def test_a_folder_of_ones_own_is_refused(photos: Path, tmp_path: Path) -> None:
    ours, other = (arguments(photos, tmp_path / name) for name in ("one", "other"))
    assert_one_line(run_ranks(ours, different={1: other}), "is not the folder that rank 0 has there", 2)


@pytest.mark.distributed
def test_a_process_that_never_comes_is_waited_for_in_bounds(photos: Path, tmp_path: Path) -> None:
    code = "from datetime import timedelta; from alexnet.train import joining; joining.JOINING = timedelta(seconds=5); "
    code += "import sys; from alexnet.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *arguments(photos, tmp_path / "run")[3:]]
    with begun(command, environment(**of_rank(0, 2, 29_777))) as process:
        assert_one_line([ended(process, 90)], "rank 0 of 2 found no others", 2)
