"""The image files of a folder, one by one: memory does not grow with their number."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from alexnet.data.images import MOST_BYTES, SUFFIXES
from alexnet.errors import DataError, ImageError


class Entry(NamedTuple):
    """One file that is an image by its name.

    `path` is relative to the tree, with forward slashes on every system. `archive`, `offset`, `size`, `packed_size` and
    `method` say where its bytes are in an archive, `crc` what their CRC-32 is in a zip; `fault` why they must not be
    read. `split` and `label` are known of data that is labelled already.
    """

    path: str
    size: int = 0
    modified_ns: int = 0
    archive: int = 0
    offset: int = 0
    packed_size: int = 0
    method: int = 0
    crc: int = 0
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
    return _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path costs ten times as much)


def list_suffixes(counts: Mapping[str, int]) -> str:
    """`3 .avif, 12 .txt`."""
    return ", ".join(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in sorted(counts.items()))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is there for the system and not for people."""
    return name.startswith(".") or name == "__MACOSX"


class FolderTree:
    """All image files below a folder. Links are followed, to each folder once: its own name wins over that of a link.

    `passed_over` counts the other files by their suffix, those that the last walk has come by.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.passed_over: Counter[str] = Counter()

    def entries(self) -> Iterator[Entry]:
        """Every image file, in the order of the file system. Raises `DataError` for a folder that cannot be read."""
        self.passed_over.clear()
        seen: set[tuple[int, int]] = set()
        folders = [("", str(self.root))]
        linked: list[tuple[str, str]] = []  # a heap: which of two links counts must not rest on the file system
        while folders or linked:
            prefix, folder = folders.pop() if folders else heappop(linked)
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
            for found in _listing(folder):
                if not _is_folder(found):
                    if is_image_name(found.name):
                        yield _entry(found, prefix)
                    else:
                        self.passed_over[_suffix(found.name)] += 1
                elif found.is_symlink():
                    heappush(linked, (f"{prefix}{found.name}/", found.path))
                else:
                    folders.append((f"{prefix}{found.name}/", found.path))

    def has_own_images(self) -> bool:
        """Whether image files lie in the folder itself."""
        return any(is_image_name(found.name) and not _is_folder(found) for found in _listing(str(self.root)))

    def has_images(self) -> bool:
        """Whether there is any image file at all."""
        return any(True for _ in self.entries())

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


def _listing(folder: str) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder and is not hidden."""
    try:
        with os.scandir(folder) as listing:
            yield from (found for found in listing if not is_hidden(found.name))
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror or error}); change its permissions or move it away"
        ) from None


def _identity(folder: str) -> tuple[int, int]:
    """The same for all ways that lead to a folder."""
    try:
        stat = os.stat(folder)  # noqa: PTH116 (a Path costs ten times as much)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error})") from None
    return stat.st_dev, stat.st_ino


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
