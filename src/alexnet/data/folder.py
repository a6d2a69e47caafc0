"""Images in class folders: one folder a class, at any depth below it."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.images import SUFFIXES, open_image
from alexnet.data.splits import ClassInfo, DataSet, Split, check_classes
from alexnet.errors import DataError

SPLITS = ("train", "val", "test")
HELD_OUT_SHARE = 0.1

_WNID = re.compile(r"n\d{8}")


class _Found(NamedTuple):
    path: str  # relative to the data set, with forward slashes on every system
    class_name: str


@dataclass(frozen=True, eq=False)
class FolderSplit:
    """Image files below one root. `paths` are relative to it."""

    root: Path
    paths: Sequence[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with its path."""
        return open_image(self.root / self.paths[index])


def open_folder(root: Path) -> DataSet:
    """Class folders, or `train`, `val` and `test` folders of class folders. Classes are the sorted folder names.

    Without a `val` or `test` folder a tenth of the images, chosen by a hash of their relative paths, is held out as
    `val`: the same ones whatever is added later. Every class keeps at least one image for training.

    Raises:
        DataError: no images, one class, or splits whose classes differ.
    """
    parts = {name: list(_find_images(root, name)) for name in SPLITS if _is_split(root / name)}
    if "train" not in parts and parts.keys() != {"val"} and parts.keys() != {"test"}:
        parts = {"train": list(_find_images(root, ""))}
    names = _class_names(parts, root)
    if parts.keys() == {"train"}:
        parts = _hold_out(parts["train"])
    return DataSet(
        name=root.resolve().name,
        classes=check_classes((class_info(index, name) for index, name in enumerate(names)), str(root)),
        splits={name: _to_split(root, images, names) for name, images in parts.items()},
        fingerprint=_fingerprint(root, (image.path for part in parts.values() for image in part)),
    )


def class_info(index: int, folder_name: str) -> ClassInfo:
    """A class by the name of its folder; a WordNet id of ImageNet's 1,000 classes gets the name people use."""
    if not _WNID.fullmatch(folder_name):
        return ClassInfo(index, folder_name)
    return ClassInfo(index, _imagenet_names().get(folder_name, folder_name), folder_name)


@cache
def _imagenet_names() -> Mapping[str, str]:
    table = files("alexnet.data").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines()[1:])
    return {wnid: name for _, wnid, _, name in rows}


def _is_split(folder: Path) -> bool:
    return folder.is_dir() and any(entry.is_dir() for entry in folder.iterdir())


def _find_images(root: Path, part: str) -> Iterator[_Found]:
    """Every image below the class folders of `root / part`, sorted by class and path; hidden names are passed over."""
    start = root / part
    for class_folder in sorted(entry.name for entry in start.iterdir() if entry.is_dir()):
        if class_folder.startswith("."):
            continue
        walked = {os.path.realpath(start / class_folder)}
        for folder, subfolders, names in os.walk(start / class_folder, followlinks=True):
            subfolders[:] = [name for name in sorted(subfolders) if _is_new(Path(folder, name), walked)]
            relative = Path(folder).relative_to(root).as_posix()
            for name in sorted(names):
                if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                    yield _Found(f"{relative}/{name}", class_folder)


def _is_new(folder: Path, walked: set[str]) -> bool:
    """Whether to go into a subfolder: not a hidden one, and no place twice, which a link back to it would mean."""
    place = os.path.realpath(folder)
    if folder.name.startswith(".") or place in walked:
        return False
    walked.add(place)
    return True


def _class_names(parts: Mapping[str, list[_Found]], root: Path) -> list[str]:
    by_part = {part: {image.class_name for image in images} for part, images in parts.items()}
    every = set().union(*by_part.values())
    if not every:
        raise DataError(f"{root}: no images in class folders; expected {root.name}/CLASS/IMAGE.jpg, one folder a class")
    for part, names in by_part.items():
        if lacking := sorted(every - names):
            shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
            raise DataError(f"{root}: {part} has no images of {shown}; every split needs the same class folders")
    return sorted(every)


def _hold_out(images: list[_Found]) -> dict[str, list[_Found]]:
    """Split into train and val by hash of path. A set where that holds out nothing gives up its lowest hash."""
    places = {image: _place(image.path) for image in images}
    kept = {max(members, key=places.__getitem__) for members in _by_class(images)}
    candidates = [image for image in images if image not in kept]
    chosen = {image for image in candidates if places[image] < HELD_OUT_SHARE}
    if candidates and not chosen:
        chosen = {min(candidates, key=places.__getitem__)}
    train = [image for image in images if image not in chosen]
    val = [image for image in images if image in chosen]
    return {"train": train, "val": val} if val else {"train": train}


def _by_class(images: Iterable[_Found]) -> Iterable[list[_Found]]:
    members: dict[str, list[_Found]] = {}
    for image in images:
        members.setdefault(image.class_name, []).append(image)
    return members.values()


def _place(path: str) -> float:
    """A number in 0..1 that only the path decides."""
    return int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def _to_split(root: Path, images: Sequence[_Found], names: Sequence[str]) -> Split:
    index = {name: number for number, name in enumerate(names)}
    labels = np.array([index[image.class_name] for image in images], np.int64)
    return FolderSplit(root, tuple(image.path for image in images), labels)


def _fingerprint(root: Path, paths: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        stat = (root / path).stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]
