import errno
import os
from pathlib import Path

import pytest

from alexnet.atomic import check_file, write_folder, write_whole
from alexnet.errors import InputError


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
    path = tmp_path / "no" / "x"
    with pytest.raises(FileNotFoundError) as caught, write_whole(path) as temporary:
        temporary.write_text("")
    assert caught.value.filename == str(path)


def test_a_read_only_disk_is_an_error_of_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a disk refuses to remove what is not there, too."""

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, write_whole(tmp_path / "x") as temporary:
        temporary.write_text("")
    assert caught.value.filename == str(tmp_path / "x")


def test_the_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, write_whole(tmp_path / "x"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


class Windows:
    """What differs there: only what is open for writing is synced, folders are not opened, open files not replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
        self.refusals = attempts
        self.synced: set[int] = set()
        self.open, self.replace = os.open, Path.replace
        monkeypatch.setattr("alexnet.atomic._WAITS", (0, 0, 0))
        monkeypatch.setattr(os, "open", self.opened)
        monkeypatch.setattr(os, "fsync", self.synced.add)
        monkeypatch.setattr(Path, "replace", lambda source, target: self.replaced(source, target))

    def opened(self, path: Path, flags: int) -> int:
        if path.is_dir():
            raise PermissionError(path)
        assert flags & os.O_RDWR
        return self.open(path, flags)

    def replaced(self, source: Path, target: Path) -> Path:
        self.refusals -= 1
        if self.refusals >= 0:
            raise PermissionError(source)
        return self.replace(source, target)


def test_windows_is_asked_again_where_another_program_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = Windows(monkeypatch, attempts=2)
    with write_whole(tmp_path / "x") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "x").read_text() == "new"
    assert len(windows.synced) == 1


def test_on_windows_a_file_that_stays_open_keeps_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    Windows(monkeypatch, attempts=9)
    with pytest.raises(PermissionError), write_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(path: Path) -> None:
    with write_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError


def test_a_folder_is_there_whole_when_the_block_ends_well(tmp_path: Path) -> None:
    with write_folder(tmp_path / "new") as temporary:
        (temporary / "a").write_text("a")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "a").read_text() == "a"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_within(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def fail_within(path: Path) -> None:
    with write_folder(path) as temporary:
        (temporary / "a").write_text("a")
        raise RuntimeError


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with (
        pytest.raises(InputError, match=r"old is there already; name a folder that is not"),
        write_folder(tmp_path / "old"),
    ):
        pytest.fail("the block is not entered")
    with pytest.raises(FileNotFoundError), write_folder(tmp_path / "no" / "new"):
        pytest.fail("the block is not entered")


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_file(tmp_path / "new.txt")
    with pytest.raises(InputError, match="there is no folder"):
        check_file(tmp_path / "nowhere" / "new.txt")
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        check_file(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs the tests may be allowed to write anywhere
    with pytest.raises(InputError, match="nothing may be written into"):
        check_file(tmp_path / "new.txt")
