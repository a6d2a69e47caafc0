"""Images from anywhere, one after the other: those of a data set, or loose files. For work that learns no classes."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.datasets import is_packed, is_shard, open_data
from alexnet.data.folder import FolderSplit
from alexnet.data.images import open_image
from alexnet.data.shards import ShardSplit
from alexnet.data.splits import ClassInfo, DataSet, Split
from alexnet.data.trees import FolderTree, is_image_name
from alexnet.errors import DataError

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class Collection:
    """Images in their order; `classes` are those of their labels, none where every label is -1.

    `root`: the folder that the paths of the images start from, where they lead to files.
    """

    images: Split
    classes: tuple[ClassInfo, ...] = ()
    root: Path | None = None

    def digest(self) -> str:
        """A name for the images, 32 hexadecimal digits: of their paths, labels and classes, and of what is in shards.

        Other content under the same paths is noticed in shards only.
        """
        splits = self.images.splits if isinstance(self.images, JoinedSplits) else [self.images]
        digest = hashlib.sha256(_to_bytes(info.name for info in self.classes))
        for split in splits:
            digest.update(_to_bytes(split.paths))
            digest.update(split.labels.tobytes())
            digest.update(_to_bytes(split.digests if isinstance(split, ShardSplit) else ()))
        return digest.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class LooseImages:
    """Image files, or what stands under their names in `contents`; a Split."""

    paths: Sequence[str]
    labels: NDArray[np.int64]
    contents: Mapping[str, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with its path."""
        path = self.paths[index]
        return open_image(self.contents.get(path, path), path)


class JoinedSplits:
    """Splits one after the other; a Split."""

    def __init__(self, splits: Sequence[Split]) -> None:
        self.paths = tuple(chain.from_iterable(split.paths for split in splits))
        self.labels: NDArray[np.int64] = np.concatenate([split.labels for split in splits])
        self.splits = splits
        self._starts = [0, *accumulate(len(split) for split in splits)]

    def __len__(self) -> int:
        return self._starts[-1]

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` as its split does."""
        which = bisect_right(self._starts, index) - 1
        return self.splits[which].image(index - self._starts[which])


def open_collection(
    where: Sequence[str], split: str | None = None, contents: Mapping[str, bytes] | None = None
) -> Collection:
    """One DATA (all its splits in turn, or the one named `split`), or image files and folders of them.

    A folder with images of its own is a folder of loose images; any other is DATA. `contents` are images that are no
    files, by the names they have among `where`.

    Raises:
        DataError: data that cannot be used, or a split of loose images.
    """
    contents = contents or {}
    if len(where) == 1 and where[0] not in contents and _is_data(Path(where[0])):
        return collect(open_data(where[0]), split)
    if split:
        raise DataError(f"loose images have no {split} split; leave --split out, or name one data set")
    return loose_images(where, contents)


def loose_images(where: Sequence[str], contents: Mapping[str, bytes]) -> Collection:
    """Image files, and those in folders, whatever data set these may be; see `open_collection`."""
    paths = [path for name in where for path in ([name] if name in contents else image_files(name))]
    return Collection(LooseImages(paths, np.full(len(paths), NO_LABEL, np.int64), contents), root=Path())


def collect(dataset: DataSet, split: str | None = None) -> Collection:
    """The images of a data set, of all its splits or of one."""
    chosen = [dataset.split(split)] if split else list(dataset.splits.values())
    roots = {part.root if isinstance(part, FolderSplit) else None for part in chosen}
    images = chosen[0] if len(chosen) == 1 else JoinedSplits(chosen)
    return Collection(images, dataset.classes, roots.pop() if len(roots) == 1 else None)


def image_files(where: str | Path) -> list[str]:
    """The image files at any depth of a folder, sorted and without hidden ones; of anything else just its own path.

    A folder without images is given back itself, so that opening it says what is wrong.
    """
    root = Path(where)
    if not root.is_dir():
        return [str(where)]
    found = sorted(entry.path.split("/") for entry in FolderTree(root).entries())
    return [str(root.joinpath(*parts)) for parts in found] or [str(where)]


def is_packed_data(where: str) -> bool:
    """Whether it is DATA whose images are no files of their own."""
    path = Path(where)
    return _is_data(path) and (not path.is_dir() or is_packed(path))


def _is_data(path: Path) -> bool:
    if path.is_dir():
        return not FolderTree(path).has_own_images()
    if is_image_name(path.name):
        return False
    return is_shard(path) or not path.exists()  # a name, or nothing: `open_data` says which


def _to_bytes(words: Iterable[str]) -> bytes:
    return "\n".join(words).encode("utf-8", "surrogatepass") + b"\0"
