import io
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from alexnet.data.zip_index import Member, walk_zip
from alexnet.errors import ShardError

FILES = {"a/1.jpg": b"one", "b/ä.jpg": b"two" * 100, "c" * 200: b"", "d/": b""}


def pack(path: Path, comment: bytes = b"", front: bytes = b"", zip64: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in FILES.items():
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(content)
    path.write_bytes(front + path.read_bytes())
    return path


def twin(path: Path) -> list[Member]:
    """As the standard library reads it."""
    with zipfile.ZipFile(path) as archive:
        return [
            Member(
                each.filename,
                each.file_size,
                each.compress_size,
                each.header_offset,
                each.compress_type,
                bool(each.flag_bits & 1),
                each.CRC,
            )
            for each in archive.infolist()
        ]


@pytest.mark.parametrize(
    "options",
    [{}, {"comment": b"PK is in here"}, {"front": b"#!/bin/sh\n" * 99}, {"zip64": True}],
    ids=["plain", "comment", "self-extracting", "zip64"],
)
def test_members_are_those_of_the_standard_library(tmp_path: Path, options) -> None:
    path = pack(tmp_path / "a.zip", **options)
    with path.open("rb") as file:
        assert list(walk_zip(file, "a.zip")) == twin(path)


def test_numbers_beyond_32_bits_are_read(tmp_path: Path, monkeypatch) -> None:
    """The standard library writes its zip64 records from a limit on, which is lowered here."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    path = pack(tmp_path / "a.zip", zip64=True)
    assert b"PK\6\6" in path.read_bytes()
    with path.open("rb") as file:
        assert list(walk_zip(file, "a.zip")) == twin(path)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9, 0.99])
def test_a_cut_archive_is_refused(tmp_path: Path, share: float) -> None:
    content = pack(tmp_path / "a.zip").read_bytes()
    with pytest.raises(ShardError, match=r"a\.zip: not a zip archive, or a damaged one .*copy it again"):
        list(walk_zip(io.BytesIO(content[: int(share * len(content))]), "a.zip"))


def test_damage_anywhere_in_the_directory_is_an_error_or_another_member_and_never_a_crash(tmp_path: Path) -> None:
    content = pack(tmp_path / "a.zip").read_bytes()
    [start] = struct.unpack_from("<L", content, content.rfind(b"PK\5\6") + 16)
    for at in range(start, len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        with suppress(ShardError):
            list(walk_zip(io.BytesIO(damaged), "a.zip"))


@pytest.mark.parametrize("field", [0, 1, 2], ids=["size", "packed size", "offset"])
@pytest.mark.parametrize("number", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_numbers_that_no_file_has_are_damage(tmp_path: Path, monkeypatch, field: int, number: int) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 2)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            archive.writestr(name, b"x" * 50)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    extra = content.rindex(struct.pack("<2H", 1, 24))  # size, packed size and offset of the last member
    struct.pack_into("<Q", content, extra + 4 + 8 * field, number)
    if (field, number) == (0, 1 << 40):  # much, but a file may have as much
        assert [member.size for member in walk_zip(io.BytesIO(content), "a.zip")] == [50, 1 << 40]
    else:
        with pytest.raises(ShardError, match=r"a\.zip: .*damaged"):
            list(walk_zip(io.BytesIO(content), "a.zip"))
