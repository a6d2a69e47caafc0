"""Where images come from: a folder, an archive, the archives of ILSVRC-2012, or any data set that can be opened."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from alexnet.atomic import write_whole
from alexnet.data.archives import TarTree, ZipTree
from alexnet.data.datasets import holds_samples, is_packed, open_data
from alexnet.data.distributed import IMAGE_ARCHIVES, find_archives
from alexnet.data.splits import ClassInfo, DataSet, EncodedSplit
from alexnet.data.trees import Entry, FolderTree
from alexnet.errors import DataError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


class Source(Protocol):
    """Images by their names, one after the other, and the bytes of any of them."""

    def entries(self) -> Iterator[Entry]:
        """Every image once, in any order."""

    def read(self, entry: Entry) -> bytes | Image.Image:
        """The file of an image, or its pixels where there is no file. Raises `ImageError`; used by several threads."""

    def fingerprint(self, entries: Iterable[Entry], /) -> str:
        """Changes when the images do; `entries` are all of its own."""


class SeveralTrees:
    """Trees side by side: `archive` of an entry is the number of its tree."""

    def __init__(self, trees: Sequence[Source]) -> None:
        self._trees = trees

    def entries(self) -> Iterator[Entry]:
        """Of all trees."""
        for number, tree in enumerate(self._trees):
            yield from (entry._replace(archive=number) for entry in tree.entries())

    def read(self, entry: Entry) -> bytes | Image.Image:
        """As its tree does."""
        return self._trees[entry.archive].read(entry)

    def fingerprint(self, _: Iterable[Entry], /) -> str:
        """Of all trees."""
        return " ".join(tree.fingerprint(tree.entries()) for tree in self._trees)


class LabelledImages:
    """A data set that knows the split and class of every image already."""

    def __init__(self, dataset: DataSet) -> None:
        self._dataset = dataset

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """As the data set has them."""
        return self._dataset.classes

    def entries(self) -> Iterator[Entry]:
        """Every image; `offset` is its index in the split."""
        for name, split in self._dataset.splits.items():
            for index, label in enumerate(split.labels):
                yield Entry(split.paths[index], offset=index, split=name, label=int(label))

    def read(self, entry: Entry) -> bytes | Image.Image:
        """The encoded image where the data set has one, else its pixels."""
        split = self._dataset.splits[entry.split]
        return split.encoded(entry.offset) if isinstance(split, EncodedSplit) else split.image(entry.offset)

    def fingerprint(self, _: Iterable[Entry], /) -> str:
        """Of the data set."""
        return self._dataset.fingerprint


def open_source(where: str, scratch: Path) -> Source:
    """Whatever `where` is. A gzipped archive, which has no random access, is unpacked to one plain tar in `scratch`.

    Raises:
        DataError: nothing there that can be read.
        OSError: no space to unpack an archive.
    """
    path = Path(where)
    if path.is_dir():
        return _open_directory(path)
    if path.name in IMAGE_ARCHIVES:
        return TarTree(path, IMAGE_ARCHIVES[path.name])
    if not path.is_file() or not path.name.endswith(ARCHIVE_SUFFIXES):
        return LabelledImages(open_data(where))
    if zipfile.is_zipfile(path):
        return ZipTree(path)
    if holds_samples(path):
        return LabelledImages(open_data(where))
    return TarTree(_unpacked(path, scratch) if _is_gzipped(path) else path)


def _open_directory(path: Path) -> Source:
    if archives := find_archives(path):
        return SeveralTrees([FolderTree(path), *(TarTree(archive, top) for archive, top in archives.items())])
    return LabelledImages(open_data(path)) if is_packed(path) else FolderTree(path)


def _is_gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"  # RFC 1952


def _unpacked(path: Path, scratch: Path) -> Path:
    stat = path.stat()
    target = scratch / f"source-{stat.st_size}-{stat.st_mtime_ns}.tar"  # of this archive and no later one
    if target.exists():
        return target
    with write_whole(target) as part, part.open("wb") as plain, gzip.open(path) as source:
        while block := _next_block(source, path):
            plain.write(block)
    return target


def _next_block(source: io.BufferedIOBase | gzip.GzipFile, path: Path) -> bytes:
    try:
        return source.read(1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); copy it again") from None
