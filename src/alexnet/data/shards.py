"""Tar shards in WebDataset form, read at random through our own index, and written.

A tar is mapped into memory, so opening costs nothing and processes share it. A gzipped one has no random access: it is
unpacked once into the cache folder. Both it and the index are kept there under a name made from the content, so a
changed shard never meets a stale index.
"""

import gzip
import hashlib
import io
import mmap
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.atomic import write_whole
from alexnet.data.cache import cache_dir, sampled_digest
from alexnet.data.images import open_image
from alexnet.data.tar_index import TarIndex, build_index
from alexnet.errors import ShardError

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")


class Shard:
    """One open shard: its index, and the bytes of any image.

    `name` is its file name, for messages; `digest` names its content, and `modified_ns`, the time of its last change,
    tells what a sampled digest may miss.
    """

    def __init__(self, name: str, digest: str, modified_ns: int, index: TarIndex, content: Path | bytes) -> None:
        self.name = name
        self.digest = digest
        self.modified_ns = modified_ns
        self.index = index
        self._content = content  # a plain tar on disk, or in memory where nothing could be written
        self._map: mmap.mmap | bytes | None = None

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image."""
        start = int(self.index.offsets[index])
        return self._mapped()[start : start + int(self.index.sizes[index])]

    def _mapped(self) -> mmap.mmap | bytes:
        if self._map is None:
            self._map = self._content if isinstance(self._content, bytes) else _map_file(self._content)
        return self._map

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}  # a map does not travel; the other process makes its own


def _map_file(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _ShardPaths(Sequence[str]):
    """`SHARD/MEMBER` of every image, put together when asked for."""

    def __init__(self, shards: Sequence[Shard], starts: NDArray[np.int64]) -> None:
        self._shards, self._starts = shards, starts

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        shard, within = _locate(self._shards, self._starts, index % len(self))
        return f"{shard.name}/{shard.index.names[within]}"


class ShardSplit:
    """The images of one or more shards, in stored order."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = tuple(shards)
        self._starts = np.cumsum([0, *(len(shard.index.labels) for shard in shards)])
        self.labels: NDArray[np.int64] = np.concatenate([shard.index.labels for shard in shards])
        self.paths: Sequence[str] = _ShardPaths(self._shards, self._starts)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digests(self) -> list[str]:
        """Names for the content of the shards, in their order."""
        return [shard.digest for shard in self._shards]

    def encoded(self, index: int) -> bytes:
        """The file of one image as it was packed."""
        shard, within = _locate(self._shards, self._starts, index)
        return shard.read(within)

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with the names of shard and member."""
        shard, within = _locate(self._shards, self._starts, index)
        return open_image(shard.read(within), name=f"{shard.name}/{shard.index.names[within]}")


def _locate(shards: Sequence[Shard], starts: NDArray[np.int64], index: int) -> tuple[Shard, int]:
    number = int(np.searchsorted(starts, index, side="right")) - 1
    return shards[number], index - int(starts[number])


def open_shard(path: Path) -> Shard:
    """Open `.tar` or `.tar.gz` (told apart by content). The second time takes milliseconds.

    Raises:
        ShardError: truncated or damaged, or a key without its image or class.
    """
    try:
        digest = sampled_digest(path)
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"  # RFC 1952
        return _open_zipped(path, digest) if zipped else _open_plain(path, digest)
    except OSError as error:
        raise ShardError(f"{path}: cannot be read ({error.strerror or error})") from None


def _open_plain(path: Path, digest: str) -> Shard:
    # A label changed in place keeps the size and escapes the samples, but not the time of change.
    modified_ns = path.stat().st_mtime_ns
    saved = cache_dir() / "shards" / f"{digest}-{modified_ns}.npz"
    return Shard(path.name, digest, modified_ns, _kept_index(saved, path.name, lambda: path.open("rb")), path)


def _open_zipped(path: Path, digest: str) -> Shard:
    modified_ns = path.stat().st_mtime_ns
    unpacked = cache_dir() / "shards" / f"{digest}.tar"
    content: Path | bytes = unpacked
    if not unpacked.exists():
        content = _unpack(path, unpacked)
    saved = unpacked.with_suffix(".npz")
    if isinstance(content, bytes):
        return Shard(path.name, digest, modified_ns, build_index(io.BytesIO(content), path.name), content)
    return Shard(path.name, digest, modified_ns, _kept_index(saved, path.name, lambda: unpacked.open("rb")), unpacked)


def _kept_index(saved: Path, shard: str, open_tar: Callable[[], io.BufferedReader]) -> TarIndex:
    index = TarIndex.load(saved)
    if index is None:
        with open_tar() as file:
            index = build_index(file, shard)
        with suppress(OSError):  # no place to keep it: it is made again next time
            index.save(saved)
    return index


def _unpack(path: Path, target: Path) -> Path | bytes:
    """The path of the unpacked tar, or its bytes where the cache folder cannot be written."""
    try:
        with gzip.open(path) as source:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with write_whole(target) as part, part.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                return target
            except gzip.BadGzipFile:
                raise
            except OSError:
                source.seek(0)
                return source.read()
    except EOFError:
        raise ShardError(f"{path.name}: truncated, the gzip stream ends too early; copy it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ShardError(f"{path.name}: damaged gzip stream ({error}); copy it again") from None


def fingerprint(shards: Sequence[Shard]) -> str:
    """A name for their content: sampled bytes, times of change, and the key, size and label of every image."""
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(f"{shard.digest} {shard.modified_ns}".encode())
        digest.update("\n".join(shard.index.names).encode("utf-8", "surrogateescape"))
        digest.update(shard.index.sizes.tobytes() + shard.index.labels.tobytes())
    return digest.hexdigest()[:32]


def write_shard(path: Path, samples: Iterable[tuple[str, bytes, str, int]]) -> int:
    """Write (key, encoded image, suffix, label) samples as a plain tar; the number written.

    The same samples give the same bytes: times, owners and modes are fixed. Whole or not at all.

    Raises:
        OSError: the disk is full, the folder cannot be written.
        ShardError: a key that the reader would cut at a dot.
    """
    count = 0
    with write_whole(path) as part, tarfile.open(part, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for key, image, suffix, label in samples:
            if "." in key.rpartition("/")[2]:
                raise ShardError(f"key {key!r} has a dot in its file name, where WebDataset keys end; replace it")
            _add(archive, f"{key}.{suffix.lstrip('.')}", image)
            _add(archive, f"{key}.cls", str(label).encode())
            count += 1
    return count


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
