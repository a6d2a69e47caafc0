"""Where the images of a tar shard begin, so that any of them can be read at once.

Members belong together by their WebDataset key: the path up to the first dot of the file name. `KEY.jpg` is the image,
`KEY.cls` its class index in digits; other members of a key are passed over.
"""

import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.images import SUFFIXES
from alexnet.errors import ShardError

_FORMAT = 1  # of the saved index; a higher number leaves older ones unread
_LABEL_DIGITS = 6  # more classes than a million are a mistake, and would cost memory before anyone sees it
_PACKERS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
_BLOCK = 512  # POSIX.1-1988 (ustar): headers and contents come in blocks of 512 bytes, a zero block ends the archive


@dataclass(frozen=True, eq=False)
class TarIndex:
    """Images of one tar in stored order: member names, and int64 (N,) byte offsets, sizes and labels."""

    names: Sequence[str]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all. Raises `OSError`."""
        names = np.frombuffer("\n".join(self.names).encode("utf-8", "surrogateescape"), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part, part.open("wb") as file:
            np.savez(file, format=_FORMAT, names=names, offsets=self.offsets, sizes=self.sizes, labels=self.labels)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """What `save` wrote, or None where there is nothing usable."""
        try:
            with np.load(path, allow_pickle=False) as saved:
                if saved["format"] != _FORMAT:
                    return None
                names = saved["names"].tobytes().decode("utf-8", "surrogateescape").split("\n")
                return cls(names, saved["offsets"], saved["sizes"], saved["labels"])
        except Exception:  # no file, or one that something else damaged: it is made again
            return None


def build_index(file: BinaryIO, shard: str) -> TarIndex:
    """Walk a plain tar once.

    Raises:
        ShardError: no tar, cut off, no images in it, or a key with an image and no class or the reverse.
    """
    keys: dict[str, _Sample] = {}
    for member in filter(tarfile.TarInfo.isreg, walk_tar(file, shard)):
        folder, slash, base = member.name.rpartition("/")
        stem, _, suffix = base.partition(".")
        sample = keys.setdefault(folder + slash + stem, _Sample())
        if suffix.lower() == "cls":
            sample.label = _read_label(file, member, shard)
        elif f".{suffix.lower()}" in SUFFIXES:
            sample.image = member
    used = {key: sample for key, sample in keys.items() if sample.image or sample.label is not None}
    if not used:
        raise ShardError(f"{shard}: no images; expected pairs of KEY.jpg (or png, webp ...) and KEY.cls")
    return _index(used, shard)


@dataclass
class _Sample:
    image: tarfile.TarInfo | None = None
    label: int | None = None


def walk_tar(file: BinaryIO, shard: str) -> Iterator[tarfile.TarInfo]:
    """All members in stored order, one at a time: memory does not grow with their number.

    Raises:
        ShardError: no tar, or the archive is not there to its end.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while member := archive.next():
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                yield member
            end = archive.offset
    except tarfile.TarError as error:
        if packer := _packer(file):
            raise ShardError(f"{shard}: packed by {packer}; unpack it first") from None
        if size == 0 or "unexpected end" not in str(error):
            raise ShardError(f"{shard}: not a tar archive, or a damaged one ({error}); copy it again") from None
        raise _truncated(shard) from None
    file.seek(end)
    closing = file.read(_BLOCK)
    if len(closing) < _BLOCK:
        raise _truncated(shard)
    if any(closing):
        raise ShardError(f"{shard}: damaged at byte {end:,}; copy it again")


def _packer(file: BinaryIO) -> str | None:
    """The program that packed a file which is no plain tar, if its first bytes tell."""
    file.seek(0)
    start = file.read(max(map(len, _PACKERS)))
    return next((name for magic, name in _PACKERS.items() if start.startswith(magic)), None)


def _truncated(shard: str) -> ShardError:
    return ShardError(f"{shard}: truncated, the end of the archive is missing; copy it again")


def _read_label(file: BinaryIO, member: tarfile.TarInfo, shard: str) -> int:
    file.seek(member.offset_data)
    text = file.read(min(member.size, 32)).strip()
    if not text.isdigit() or len(text) > _LABEL_DIGITS:
        raise ShardError(f"{shard}: {member.name} holds {text!r}, not a class index")
    return int(text)


def _index(samples: dict[str, _Sample], shard: str) -> TarIndex:
    images: list[tarfile.TarInfo] = []
    labels: list[int] = []
    for key, sample in samples.items():
        if sample.image is None:
            raise ShardError(f"{shard}: key {key!r} has a .cls but no image")
        if sample.label is None:
            raise ShardError(f"{shard}: key {key!r} has an image but no .cls")
        images.append(sample.image)
        labels.append(sample.label)
    return TarIndex(
        names=[image.name for image in images],
        offsets=np.array([image.offset_data for image in images], np.int64),
        sizes=np.array([image.size for image in images], np.int64),
        labels=np.array(labels, np.int64),
    )
