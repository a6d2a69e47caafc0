"""Files and folders written whole or not at all. Standard library only."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

from alexnet.errors import InputError

# Windows moves nothing onto a file that another program, such as a virus scanner, has open: it is asked again, after
# so many seconds (ours).
_WAITS: tuple[float, ...] = (0.01, 0.1, 0.5) if os.name == "nt" else ()
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def check_folder(path: Path) -> None:
    """Refuse a file in a folder that is not there, before the work that would fill it.

    Raises:
        InputError: there is no such folder.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or write elsewhere")


def check_file(path: Path) -> None:
    """Refuse a file that could not be written, before the work that would fill it.

    Raises:
        InputError: there is no such folder, nothing may be written into it, or `path` is a folder itself.
    """
    check_folder(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: nothing may be written into {path.parent}; change that, or write elsewhere")


@contextmanager
def write_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well, removed when it does not.

    A reader, or a crash at any moment, finds the old file or the new one, never a part.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full; `path` is then as it was.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)  # Windows syncs only what is open for writing
        _move(temporary, path)
        with suppress(OSError):  # not every system can open or sync a folder
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        # A failed write, as on a full disk, does not say of what; a failed opening names a file nobody has asked for.
        if error.errno and str(error.filename or temporary) == str(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with suppress(OSError):  # a read-only disk refuses this too, and the reason is the error above
            temporary.unlink(missing_ok=True)


@contextmanager
def write_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`, moved there when the block ends well, removed when it does not.

    Raises:
        InputError: something is at `path` already.
        OSError: the folder around it is missing or read-only, or the disk is full.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} is there already; name a folder that is not")
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        for inside in temporary.iterdir():
            _sync(inside, os.O_RDWR)
        _move(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed process has left; only for who alone writes into `folder`."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _move(source: Path, target: Path) -> None:
    for seconds in _WAITS:
        try:
            source.replace(target)
            return
        except PermissionError:
            sleep(seconds)
    source.replace(target)


def _sync(path: Path, flags: int) -> None:
    """Put `path` on the disk now: a rename may otherwise reach it before the bytes do."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
