"""What the folders of an image tree mean: splits and classes, told from the paths alone.

    CLASS/.../IMAGE                    class folders
    train/CLASS/.../IMAGE              splits of class folders; val/ and test/ alike, and other names of the same
    val/ILSVRC2012_val_00000001.JPEG   flat validation images, labelled by number

Folders that all images share at the front (ILSVRC/Data/CLS-LOC/ in Kaggle's archive) mean nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet.data.ilsvrc import validation_number
from alexnet.errors import DataError

SPLITS = ("train", "val", "test")
SPLIT_NAMES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """The split that the name of a folder or shard means, in capital letters or small ones; None for any other."""
    return SPLIT_NAMES.get(name.casefold())


class Place(NamedTuple):
    """Where an image belongs; `class_name` is the name of a folder or a WordNet id."""

    split: str
    class_name: str


@dataclass(frozen=True)
class Layout:
    """How to read the paths of one tree: how many folders to skip, and which split each one then means (none: classes).

    `flat_labels` is WordNet ids by number of the flat validation images. A path gives the same place wherever the tree
    lies, in a folder or in an archive.
    """

    skip: int
    splits: Mapping[str, str]
    flat_labels: Mapping[int, str] = field(default_factory=dict)

    def place(self, path: str) -> Place | None:
        """The place of an image, or None where nothing says its class."""
        parts = path.split("/")[self.skip :]
        if not self.splits:
            return Place("train", parts[0]) if len(parts) > 1 else None
        folder, *below = parts
        split = self.splits.get(folder)
        if split is None:
            return None
        if len(below) > 1:
            return Place(split, below[0])
        wnid = self.flat_labels.get(validation_number(parts[-1]) or 0) if split == "val" else None
        return Place(split, wnid) if wnid else None

    def meaning(self, path: str) -> str:
        """The path without what is skipped: what the choice of held-out images and their order rest on."""
        return "/".join(path.split("/")[self.skip :])


@dataclass
class _Split:
    images: int = 0
    in_folders: int = 0
    highest: int = 0

    def see(self, name: str, *, is_in_folder: bool, is_val: bool) -> None:
        """Take one of its images into account."""
        self.images += 1
        if is_in_folder:
            self.in_folders += 1
        elif is_val:
            self.highest = max(self.highest, validation_number(name) or 0)


class TreeShape:
    """Looks at every path of a tree once, in any order, and then knows its layout. Keeps counts only."""

    def __init__(self) -> None:
        self.images = 0
        self._shared: list[str] | None = None
        self._at_depth: Counter[int] = Counter()  # images by the number of their folders
        self._splits: dict[tuple[str, ...], _Split] = {}  # by the path of the folder
        self._others: dict[int, str] = {}  # depth to the first folder there that is no split

    def see(self, path: str) -> None:
        """Take one path into account."""
        *folders, name = path.split("/")
        self.images += 1
        self._at_depth[len(folders)] += 1
        self._shared = folders if self._shared is None else _common(self._shared, folders)
        for depth, folder in enumerate(folders):
            if meant := split_of(folder):
                split = self._splits.setdefault(tuple(folders[: depth + 1]), _Split())
                split.see(name, is_in_folder=len(folders) > depth + 1, is_val=meant == "val")
            else:
                self._others[depth] = min(folder, self._others.get(depth, folder))

    @property
    def highest_flat(self) -> int:
        """The highest number of a flat validation image; 0 if there is none."""
        return max((split.highest for split in self._splits_at(self._skip()).values()), default=0)

    def layout(self, flat_labels: Mapping[int, str] | None = None, where: str = "images") -> Layout:
        """The layout of all that was seen. Folders named like splits are splits where all folders beside them are.

        Raises:
            DataError: about `where`: some are and some are not, or two of them mean the same split.
        """
        skip = self._skip()
        splits = self._splits_at(skip)
        if self._is_covered(skip):
            return Layout(skip, _by_folder(splits, where), flat_labels or {})
        if folder := next((name for name in sorted(splits) if splits[name].in_folders), None):
            raise DataError(
                f"{where}: is {folder}/ a split or a class? {self._others[skip]}/ beside it is no split; "
                f"move that away if {folder}/ is one, else rename {folder}/"
            )
        return Layout(skip, {}, flat_labels or {})

    def _skip(self) -> int:
        """Shared folders in front of the splits, or of the class folders."""
        shared = self._shared or []
        if self._splits_at(len(shared)) and self._is_covered(len(shared)):
            return len(shared)
        split = next((depth for depth, folder in enumerate(shared) if split_of(folder)), None)
        if split is not None:
            return split
        if self._splits_at(len(shared)):
            return len(shared)
        return max(0, min(len(shared), min(self._at_depth, default=0) - 1))

    def _splits_at(self, skip: int) -> dict[str, _Split]:
        """By the name of their folder."""
        return {key[-1]: split for key, split in self._splits.items() if len(key) == skip + 1}

    def _is_covered(self, skip: int) -> bool:
        """Whether all images below a folder behind the `skip` shared ones are below a split."""
        splits = self._splits_at(skip).values()
        return sum(split.images for split in splits) == self.images - self._at_depth[skip]


def _by_folder(splits: Mapping[str, _Split], where: str) -> Mapping[str, str]:
    folders: dict[str, str] = {}
    for folder in sorted(splits):
        split = SPLIT_NAMES[folder.casefold()]
        if split in folders:
            raise DataError(f"{where}: {folders[split]}/ and {folder}/ both mean {split}; move one of them away")
        folders[split] = folder
    return {folder: split for split, folder in folders.items()}


def _common(a: list[str], b: list[str]) -> list[str]:
    for depth, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return a[:depth]
    return a[: min(len(a), len(b))]
