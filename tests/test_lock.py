import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.errors import InputError
from alexnet.lock import LOCK_FILE, hold

HOLDER = """
import sys
from pathlib import Path
from alexnet.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_at_once_and_the_next_may_enter(tmp_path: Path) -> None:
    refused = pytest.raises(InputError, match=f"another process is already writing into {tmp_path}; ")
    with hold(tmp_path), refused, hold(tmp_path):
        pass
    with hold(tmp_path):
        pass


def test_an_error_in_the_block_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold(tmp_path):
        raise RuntimeError
    with hold(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process"), hold(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with hold(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


def refusing(number: int) -> Callable[[int], None]:
    def lock(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    return lock


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("alexnet.lock._lock", refusing(number))
    with hold(tmp_path), hold(tmp_path):
        pass


def test_another_failure_to_lock_is_an_os_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.lock._lock", refusing(errno.EIO))
    with pytest.raises(OSError, match=str(tmp_path / LOCK_FILE)), hold(tmp_path):
        pass


def test_a_missing_folder_is_an_os_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"), hold(tmp_path / "nowhere"):
        pass
