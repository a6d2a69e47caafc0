from pathlib import Path

import pytest

from alexnet.atomic import write_whole


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with write_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError):
        fail_halfway(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_made_with_the_usual_permissions(tmp_path: Path) -> None:
    with write_whole(tmp_path / "x") as temporary:
        temporary.write_text("")
    (tmp_path / "y").touch()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_whole(tmp_path / "no" / "x") as temporary:
        temporary.write_text("")


def fail_halfway(path: Path) -> None:
    with write_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
