"""What the folders of an image tree mean: splits and classes, told from the paths alone.

    CLASS/.../IMAGE                    class folders
    train/CLASS/.../IMAGE              splits of class folders; val/ and test/ alike
    val/ILSVRC2012_val_00000001.JPEG   flat validation images, labelled by number

Folders that all images share at the front (ILSVRC/Data/CLS-LOC/ in Kaggle's archive) mean nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet.data.ilsvrc import validation_number

SPLITS = ("train", "val", "test")


class Place(NamedTuple):
    """Where an image belongs; `class_name` is the name of a folder or a WordNet id."""

    split: str
    class_name: str


@dataclass(frozen=True)
class Layout:
    """How to read the paths of one tree: how many folders to skip, and which splits it has (none: class folders).

    `flat_labels` is WordNet ids by number of the flat validation images. A path gives the same place wherever the tree
    lies, in a folder or in an archive.
    """

    skip: int
    splits: frozenset[str]
    flat_labels: Mapping[int, str] = field(default_factory=dict)

    def place(self, path: str) -> Place | None:
        """The place of an image, or None where nothing says its class."""
        parts = path.split("/")[self.skip :]
        if not self.splits:
            return Place("train", parts[0]) if len(parts) > 1 else None
        split, *below = parts
        if split not in self.splits:
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
    flat: int = 0
    highest: int = 0


class TreeShape:
    """Looks at every path of a tree once, in any order, and then knows its layout. Keeps counts only."""

    def __init__(self) -> None:
        self.images = 0
        self._shared: list[str] | None = None
        self._least_folders = 0
        self._splits: dict[tuple[str, ...], _Split] = {}

    def see(self, path: str) -> None:
        """Take one path into account."""
        *folders, name = path.split("/")
        self.images += 1
        first = self._shared is None
        self._shared = folders if self._shared is None else _common(self._shared, folders)
        self._least_folders = len(folders) if first else min(self._least_folders, len(folders))
        at = next((depth for depth, folder in enumerate(folders) if folder in SPLITS), None)
        if at is None:
            return
        split = self._splits.setdefault(tuple(folders[: at + 1]), _Split())
        split.images += 1
        if len(folders) > at + 1:
            split.in_folders += 1
        elif folders[at] == "val" and (number := validation_number(name)):
            split.flat += 1
            split.highest = max(split.highest, number)

    @property
    def highest_flat(self) -> int:
        """The highest number of a flat validation image; 0 if there is none."""
        skip = self._skip()
        return max((split.highest for key, split in self._splits.items() if len(key) == skip + 1), default=0)

    def layout(self, flat_labels: Mapping[int, str] | None = None) -> Layout:
        """The layout of all that was seen."""
        skip = self._skip()
        splits = {key[-1]: split for key, split in self._splits.items() if len(key) == skip + 1}
        meant = frozenset(name for name, split in splits.items() if split.in_folders or split.flat)
        covered = sum(split.images for split in splits.values()) == self.images
        return Layout(skip, meant if "train" in meant or covered else frozenset(), flat_labels or {})

    def _skip(self) -> int:
        """Shared folders in front of the splits, or of the class folders."""
        shared = self._shared or []
        at = next((depth for depth, folder in enumerate(shared) if folder in SPLITS), None)
        if at is not None:
            return at
        has_splits = any(len(key) == len(shared) + 1 for key in self._splits)
        return len(shared) if has_splits else max(0, min(len(shared), self._least_folders - 1))


def _common(a: list[str], b: list[str]) -> list[str]:
    for depth, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return a[:depth]
    return a[: min(len(a), len(b))]
