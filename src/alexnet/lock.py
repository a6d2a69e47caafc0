"""One writer to a folder: an exclusive lock that vanishes with the process that holds it. Standard library only."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet.errors import InputError

LOCK_FILE = ".lock"

# Some network file systems know no locks, or are mounted without. Nobody is kept out there; without the lock the work
# can at least be done.
_UNKNOWN = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK}
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}  # fcntl says the first two, msvcrt the first and the last


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep every other process out of `folder`, which exists, until the block ends or this process does.

    Where the file system has no locks nobody is kept out. The file `.lock` stays behind: removing it would let two
    processes hold two files of that name.

    Raises:
        InputError: another process, or another block of this one, holds it.
        OSError: the folder cannot be written.
    """
    path = folder / LOCK_FILE
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _TAKEN:
                raise InputError(
                    f"another process is already writing into {folder}; wait until it is done, or choose another folder"
                ) from None
            if error.errno not in _UNKNOWN:
                error.filename = error.filename or str(path)
                raise
        yield
    finally:
        os.close(handle)  # which unlocks


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
