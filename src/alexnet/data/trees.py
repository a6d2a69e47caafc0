"""The image files of a folder, one by one: memory does not grow with their number."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from alexnet.data.images import SUFFIXES
from alexnet.errors import DataError, ImageError

MOST_BYTES = 1 << 29  # ours: of one file; a picture of Pillow's most pixels, uncompressed, has as many


class Entry(NamedTuple):
    """One file that is an image by its name.

    `path` is relative to the tree, with forward slashes on every system. `archive`, `offset`, `size`, `packed_size` and
    `method` say where its bytes are in an archive; `fault` why they must not be read. `split` and `label` are known of
    data that is labelled already.
    """

    path: str
    size: int = 0
    modified_ns: int = 0
    archive: int = 0
    offset: int = 0
    packed_size: int = 0
    method: int = 0
    fault: str = ""
    split: str = ""
    label: int = -1


def to_bytes(path: str) -> bytes:
    """A path as what may hold any file name, and sorts the same everywhere; the inverse of `to_text`."""
    return path.encode("utf-8", "surrogateescape")


def to_text(path: bytes) -> str:
    """A path as people read it; bytes that are no UTF-8 become lone surrogates, as everywhere in Python."""
    return path.decode("utf-8", "surrogateescape")


def is_image_name(name: str) -> bool:
    """Whether a file name, without its folders, has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (a Path costs ten times as much)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is there for the system and not for people."""
    return name.startswith(".") or name == "__MACOSX"


class FolderTree:
    """All image files below a folder. Links are followed, but not back to a folder that they are in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> Iterator[Entry]:
        """Every image file, in the order of the file system. Raises `DataError` for a folder that cannot be read."""
        return _below(str(self.root), "", (os.path.realpath(self.root),))

    def read(self, entry: Entry) -> bytes:
        """The bytes of one file. Raises `ImageError` with its path."""
        check_readable(entry)
        path = self.root / entry.path
        try:
            if not S_ISREG(path.stat().st_mode):  # to open a pipe would wait for somebody to write into it
                raise ImageError(f"{entry.path}: not a file with content", "unreadable")
            return path.read_bytes()
        except FileNotFoundError:
            broken = "a link that leads nowhere" if path.is_symlink() else "gone since the folder was listed"
            raise ImageError(f"{entry.path}: {broken}", "unreadable") from None
        except OSError as error:
            raise ImageError(f"{entry.path}: cannot be read ({error.strerror or error})", "unreadable") from None

    def fingerprint(self, entries: Iterable[Entry], /) -> str:
        """Of all its `entries`: another one when a file is new, gone, or has another size or time of change."""
        return fingerprint(entries)


def fingerprint(entries: Iterable[Entry]) -> str:
    """A name for entries in any order."""
    count = total = 0
    for entry in entries:
        line = to_bytes(f"{entry.path}\0{entry.size}\0{entry.modified_ns}")
        total += int.from_bytes(hashlib.sha256(line).digest()[:16], "big")
        count += 1
    return f"{count}-{total % 2**128:032x}"


def check_readable(entry: Entry) -> None:
    """Refuse what is known to be no file of reasonable size. Raises `ImageError`."""
    if entry.fault:
        raise ImageError(f"{entry.path}: {entry.fault}", "unreadable")
    if entry.size > MOST_BYTES:
        raise ImageError(
            f"{entry.path}: {entry.size:,} bytes are too many; at most {MOST_BYTES:,} are read", "too-large"
        )


def _below(folder: str, prefix: str, inside: tuple[str, ...]) -> Iterator[Entry]:
    """Images below `folder`, whose real path is the last of `inside`, the folders that the walk is in."""
    try:
        with os.scandir(folder) as listing:
            for found in listing:
                if is_hidden(found.name):
                    continue
                if _is_folder(found):
                    real = os.path.realpath(found.path) if found.is_symlink() else os.path.join(inside[-1], found.name)  # noqa: PTH118
                    if real not in inside:
                        yield from _below(found.path, f"{prefix}{found.name}/", (*inside, real))
                elif is_image_name(found.name):
                    yield _entry(found, prefix)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror or error}); change its permissions or move it away"
        ) from None


def _is_folder(found: os.DirEntry[str]) -> bool:
    try:
        return found.is_dir()
    except OSError:  # links in a circle
        return False


def _entry(found: os.DirEntry[str], prefix: str) -> Entry:
    try:
        stat = found.stat()
    except OSError:  # a link that leads nowhere: named when it is read
        return Entry(f"{prefix}{found.name}")
    return Entry(f"{prefix}{found.name}", stat.st_size, stat.st_mtime_ns)
