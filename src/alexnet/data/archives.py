"""The image files of tar and zip archives, read where they stand: nothing of an archive is ever written anywhere.

A tar within a tar is a folder named after it, as in ILSVRC2012_img_train.tar.
"""

import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from alexnet.data.tar_index import walk_tar
from alexnet.data.trees import Entry, check_readable, is_hidden, is_image_name
from alexnet.data.zip_index import DEFLATED, LOCAL_HEADER_SIZE, STORED, Member, content_offset, walk_zip
from alexnet.errors import ImageError


class TarTree:
    """All image files of a plain tar, below a folder `top` of its own ("" for none)."""

    def __init__(self, path: Path, top: str = "") -> None:
        self.path = path
        self._top = f"{top}/" if top else ""

    def entries(self) -> Iterator[Entry]:
        """Every image file in stored order. Raises `ShardError` for a damaged or truncated archive."""
        with self.path.open("rb") as file:
            yield from _tar_entries(file, self.path.name, self._top, 0)

    def read(self, entry: Entry) -> bytes:
        """The bytes of one file. Raises `ImageError` with its path."""
        check_readable(entry)
        return _read_at(self.path, entry, 0, entry.size)

    def fingerprint(self, _: Iterable[Entry], /) -> str:
        """Another one when the archive has another size or time of change; to walk it again would take long."""
        return _of_file(self.path)


class ZipTree:
    """All image files of a zip archive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Iterator[Entry]:
        """Every image file in stored order. Raises `ShardError` for a damaged or truncated archive."""
        with self.path.open("rb") as file:
            for member in walk_zip(file, str(self.path)):
                if is_image_name(member.name) and not _is_hidden(member.name):
                    yield Entry(
                        path=_clean(member.name),
                        size=member.size,
                        offset=member.offset,
                        packed_size=member.packed_size,
                        method=member.method,
                        crc=member.crc,
                        fault=_fault_of_name(member.name) or _fault_of_zipped(member),
                    )

    def read(self, entry: Entry) -> bytes:
        """The bytes of one file. Raises `ImageError` with its path."""
        check_readable(entry)
        start = content_offset(_read_at(self.path, entry, 0, LOCAL_HEADER_SIZE))
        if not start:
            raise ImageError(f"{entry.path}: no file where the archive says that it is", "unreadable")
        packed = _read_at(self.path, entry, start, entry.packed_size)
        try:
            content = packed if entry.method == STORED else _inflate(packed, entry.size)
        except zlib.error as error:
            raise ImageError(f"{entry.path}: damaged in the archive ({error})", "damaged") from None
        if (len(content), zlib.crc32(content)) != (entry.size, entry.crc):
            raise ImageError(f"{entry.path}: damaged in the archive (its checksum is another)", "damaged")
        return content

    def fingerprint(self, _: Iterable[Entry], /) -> str:
        """Another one when the archive has another size or time of change; to walk it again would take long."""
        return _of_file(self.path)


def _inflate(packed: bytes, size: int) -> bytes:
    """At most one byte more than `size`, whatever is packed."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)


def _tar_entries(file: BinaryIO, name: str, prefix: str, base: int) -> Iterator[Entry]:
    for member in walk_tar(file, name):
        start = base + member.offset_data
        if _is_hidden(member.name):
            continue
        if member.isreg() and member.name.lower().endswith(".tar"):
            inner = _Part(file, member.offset_data, member.size)
            folder = f"{prefix}{_clean(member.name)[: -len('.tar')]}/"
            yield from _tar_entries(io.BufferedReader(inner), f"{name}/{member.name}", folder, start)
        elif not member.isdir() and is_image_name(member.name):
            fault = _fault_of_name(member.name) or ("" if member.isreg() else "a link or device, not a file")
            yield Entry(f"{prefix}{_clean(member.name)}", member.size, offset=start, fault=fault)


def _is_hidden(name: str) -> bool:
    """Whether a member, or a folder that it is in, is there for the system and not for people."""
    return any(is_hidden(part) for part in _clean(name).split("/") if part != "..")


def _clean(name: str) -> str:
    """The path that people mean by the name of a member: forward slashes, no `.` and nothing before the first name."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _fault_of_name(name: str) -> str:
    return "a name that leads out of the archive" if ".." in name.replace("\\", "/").split("/") else ""


def _fault_of_zipped(member: Member) -> str:
    if member.encrypted:
        return "encrypted in the archive"
    if member.method not in (STORED, DEFLATED):
        return f"packed by method {member.method}, which is not read"
    return ""


def _read_at(path: Path, entry: Entry, start: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(entry.offset + start)
            return file.read(size)
    except OSError as error:
        raise ImageError(f"{entry.path}: cannot be read ({error.strerror or error})", "unreadable") from None


def _of_file(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


class _Part(io.RawIOBase):
    """A range of an open file, as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        content = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
