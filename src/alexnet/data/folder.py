"""Images in class folders: one folder a class, at any depth below it; and ILSVRC's flat validation images."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.ilsvrc import ClassOrder, folder_name, imagenet_classes, order_classes, validation_labels
from alexnet.data.images import open_image, read_file
from alexnet.data.layout import SPLITS, Layout, Place, TreeShape, split_of
from alexnet.data.splits import ClassInfo, DataSet, Split, check_classes
from alexnet.data.trees import FolderTree, fingerprint, list_suffixes
from alexnet.errors import DataError, InputError

HELD_OUT_SHARE = 0.1


class _Found(NamedTuple):
    path: str  # relative to the data set, with forward slashes on every system
    class_name: str
    draw: float  # decides whether it is held out


@dataclass(frozen=True, eq=False)
class FolderSplit:
    """Image files below one root. `paths` are relative to it."""

    root: Path
    paths: Sequence[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    def encoded(self, index: int) -> bytes:
        """The file of one image. Raises `ImageError` with its path."""
        return read_file(self.root / self.paths[index])

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with its path."""
        return open_image(self.root / self.paths[index])


def open_folder(root: Path, ground_truth: Path | None = None, class_order: ClassOrder = "sorted") -> DataSet:
    """Class folders, or `train`, `val` and `test` folders of class folders. Classes are the sorted folder names.

    `val` may hold ILSVRC's flat images: `ground_truth` then labels them, or what lies in one of the usual places.
    Without a `val` or `test` folder a tenth of the images, chosen by a hash of their relative paths, is held out as
    `val`: the same ones whatever is added later. Every class keeps at least one image for training.

    Raises:
        DataError: no images, one class, splits whose classes differ, or labels that are missing or do not fit.
        InputError: the development kit's order of other classes, or a ground truth where nothing needs one.
    """
    tree = FolderTree(root)
    entries = sorted(tree.entries())
    shape = TreeShape()
    for entry in entries:
        shape.see(entry.path)
    layout = find_layout(shape, root, ground_truth)
    parts: dict[str, list[_Found]] = {}
    for entry in entries:
        if place := layout.place(entry.path):
            found = _Found(entry.path, place.class_name, draw(layout.meaning(entry.path)))
            parts.setdefault(place.split, []).append(found)
    places = {Place(split, image.class_name) for split, images in parts.items() for image in images}
    classes = find_classes(places, layout, root, class_order, tree.passed_over)
    if parts.keys() == {"train"}:
        parts = _hold_out(parts["train"])
    return DataSet(
        name=root.resolve().name,
        classes=classes,
        splits={name: _to_split(root, parts[name], classes) for name in SPLITS if name in parts},
        fingerprint=fingerprint(entries),
    )


def find_layout(shape: TreeShape, root: Path, ground_truth: Path | None) -> Layout:
    """What the folders of the tree at `root` mean, flat validation images labelled. Raises as `open_folder` does."""
    if highest := shape.highest_flat:
        return shape.layout(validation_labels(root, ground_truth, highest), str(root))
    if ground_truth:
        raise InputError(f"{root}: no flat validation images, which --ground-truth is for; leave it out")
    return shape.layout(where=str(root))


def find_classes(
    places: Collection[Place],
    layout: Layout,
    root: Path,
    class_order: ClassOrder,
    passed_over: Mapping[str, int] = MappingProxyType({}),
) -> tuple[ClassInfo, ...]:
    """The classes of a tree whose images are in `places`, which every split of class folders must have.

    Flat validation images add none to those of training; alone, they have the 1,000 of ILSVRC. `passed_over` counts
    other files by suffix, for the message where there are no images.

    Raises:
        DataError: no images, an empty training folder, one class, or splits whose classes differ.
        InputError: the development kit's order of other classes.
    """
    by_split: dict[str, set[str]] = {}
    for split, name in places:
        if not (split == "val" and layout.flat_labels):
            by_split.setdefault(split, set()).add(name)
    if places and all(split != "train" for split, _ in places):
        _check_no_empty_training(root)
    every = set().union(*by_split.values()) or set(imagenet_classes() if layout.flat_labels else ())
    flat = {name for split, name in places if split == "val"} if layout.flat_labels else set()
    if flat and flat.isdisjoint(every):
        raise DataError(
            f"{root}: the validation classes of the ground truth ({min(flat)} ...) are none of those "
            f"of train ({min(every)} ...); name the right one with --ground-truth, or remove val"
        )
    if not every:
        others = list_suffixes(passed_over)
        raise DataError(
            f"{root}: no images in class folders; expected {root.name}/CLASS/IMAGE.jpg, one folder a class"
            + (f" (files that are no images by their names: {others})" if others else "")
        )
    for split, names in sorted(by_split.items()):
        if lacking := sorted(every - names):
            shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
            raise DataError(f"{root}: {split} has no images of {shown}; every split needs the same class folders")
    return check_classes(order_classes(every, class_order, str(root)), str(root))


def _check_no_empty_training(root: Path) -> None:
    folders = sorted(root.iterdir()) if root.is_dir() else []
    if empty := next((folder for folder in folders if split_of(folder.name) == "train" and folder.is_dir()), None):
        raise DataError(f"{root}: {empty.name}/ holds no images in class folders; put them there, or remove it")


def draw(path: str) -> float:
    """A number in 0..1 that only the path decides; below `HELD_OUT_SHARE` its image is held out."""
    return int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def _hold_out(images: list[_Found]) -> dict[str, list[_Found]]:
    """Split into train and val by hash of path. A set where that holds out nothing gives up its lowest hash."""
    kept = {max(members, key=lambda image: image.draw) for members in _by_class(images)}
    candidates = [image for image in images if image not in kept]
    chosen = {image for image in candidates if image.draw < HELD_OUT_SHARE}
    if candidates and not chosen:
        chosen = {min(candidates, key=lambda image: image.draw)}
    train = [image for image in images if image not in chosen]
    val = [image for image in images if image in chosen]
    return {"train": train, "val": val} if val else {"train": train}


def _by_class(images: Iterable[_Found]) -> Iterable[list[_Found]]:
    members: dict[str, list[_Found]] = {}
    for image in images:
        members.setdefault(image.class_name, []).append(image)
    return members.values()


def _to_split(root: Path, images: Sequence[_Found], classes: Sequence[ClassInfo]) -> Split:
    index = {folder_name(info): info.index for info in classes}
    known = [image for image in images if image.class_name in index]
    labels = np.array([index[image.class_name] for image in known], np.int64)
    return FolderSplit(root, tuple(image.path for image in known), labels)
