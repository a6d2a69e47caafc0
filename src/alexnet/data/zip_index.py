"""The members of a zip archive, one by one. The standard library holds them all in memory: 2 GB for Kaggle's ImageNet.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end), 4.5.3 (zip64).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from alexnet.errors import ShardError

STORED, DEFLATED = 0, 8

_HEADER = struct.Struct("<4s4x2H4x3L3H8xL")  # signature, flags, method, CRC-32, 2 sizes, 3 lengths, offset
_END = struct.Struct("<4s8x2LH")  # signature, size and offset of the directory, length of the comment
_END_64 = struct.Struct("<4s36x2Q")
_LOCATOR_64 = struct.Struct("<4s4xQ4x")
_LOCAL = struct.Struct("<4s22x2H")  # signature, lengths of the name and of the extra field

LOCAL_HEADER_SIZE = _LOCAL.size

_MOST_BYTES = 1 << 62  # ours: no file is as large, and databases hold numbers up to twice that
_ENCRYPTED, _UTF_8 = 1, 1 << 11
_IN_EXTRA = 0xFFFFFFFF
_ZIP64 = 1


class Member(NamedTuple):
    """One file of an archive: `offset` is that of its local header, counted from the start of the file."""

    name: str
    size: int
    packed_size: int
    offset: int
    method: int
    encrypted: bool
    crc: int


def walk_zip(file: BinaryIO, name: str) -> Iterator[Member]:
    """All members in the order of the directory. Memory does not grow with their number.

    Raises:
        ShardError: no zip archive, or a damaged or truncated one.
    """
    try:
        start, size, shift = _find_directory(file)
        done = 0
        while done < size:
            file.seek(start + done)  # the archive may be read elsewhere meanwhile
            member, length = _read_member(file, shift)
            if member.offset + member.packed_size > start or member.size > _MOST_BYTES:
                raise ValueError("its directory names bytes that it does not have")
            done += length
            yield member
    except (ValueError, OverflowError, struct.error, OSError) as error:
        raise ShardError(f"{name}: not a zip archive, or a damaged one ({error}); copy it again") from None


def content_offset(local_header: bytes) -> int:
    """How far behind the start of a local header the content begins; 0 where that is no header."""
    if len(local_header) < LOCAL_HEADER_SIZE:
        return 0
    signature, name_length, extra_length = _LOCAL.unpack_from(local_header)
    return LOCAL_HEADER_SIZE + name_length + extra_length if signature == b"PK\3\4" else 0


def _find_directory(file: BinaryIO) -> tuple[int, int, int]:
    """Its start and size, and by how much its own offsets are too small, as in a self-extracting archive."""
    length = file.seek(0, 2)
    tail_start = max(0, length - _END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise ValueError("its end is missing")
    _, size, offset, _ = _END.unpack_from(tail, at)
    end = tail_start + at
    file.seek(max(0, end - _LOCATOR_64.size))
    signature, end_64 = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size).ljust(_LOCATOR_64.size))
    if signature == b"PK\6\7":
        file.seek(end_64)
        signature, size, offset = _END_64.unpack(file.read(_END_64.size))
        if signature != b"PK\6\6":
            raise ValueError("its zip64 end is missing")
        return offset, size, 0
    start = end - size
    if start < offset:
        raise ValueError("a part in the middle is missing")
    return start, size, start - offset


def _read_member(file: BinaryIO, shift: int) -> tuple[Member, int]:
    header = file.read(_HEADER.size)
    signature, flags, method, crc, packed_size, size, name_length, extra_length, comment_length, offset = (
        _HEADER.unpack(header)
    )
    if signature != b"PK\1\2":
        raise ValueError("its directory is damaged")
    name = file.read(name_length).decode("utf-8" if flags & _UTF_8 else "cp437", "surrogateescape")
    wide = iter(_zip64_numbers(file.read(extra_length)))
    size, packed_size, offset = (
        next(wide, value) if value == _IN_EXTRA else value for value in (size, packed_size, offset)
    )
    member = Member(name, size, packed_size, offset + shift, method, bool(flags & _ENCRYPTED), crc)
    return member, _HEADER.size + name_length + extra_length + comment_length


def _zip64_numbers(extra: bytes) -> tuple[int, ...]:
    """The numbers that do not fit 32 bits, in the order size, packed size, offset."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64:
            return struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4)
        extra = extra[4 + length :]
    return ()
