"""What is read of the variables that torchrun sets; what cannot be is refused in test_joining.py."""

import os

import pytest

from alexnet.train.launch import launch_id, may_restart, place


def test_a_place_is_which_of_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert place("RANK", "WORLD_SIZE") == (3, 8)


@pytest.mark.parametrize(("restarts", "expected"), [("3", True), ("0", False), (None, False)])
def test_torchrun_says_whether_it_begins_runs_again(
    restarts: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS", raising=False)
    if restarts:
        monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", restarts)
    assert may_restart() == expected


def test_what_one_command_starts_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its run id, or else by torchrun's own process, whose children all are that it starts again."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "mine")
    assert launch_id() == "mine"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert str(os.getppid()) in launch_id()
