"""ILSVRC-2012's image archives as people find them on a disk, and the folders that they stand for.

The outer archive of the training images holds one archive a class; unpacked once, those lie in `train/`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from alexnet.data.layout import split_of
from alexnet.errors import DataError

IMAGE_ARCHIVES: Mapping[str, str] = {"ILSVRC2012_img_train.tar": "train", "ILSVRC2012_img_val.tar": "val"}

_CLASS_ARCHIVE = re.compile(r"n\d{8}\.tar")


def is_class_archive(path: Path) -> bool:
    """Whether a file has the name of one class's archive."""
    return bool(_CLASS_ARCHIVE.fullmatch(path.name)) and path.is_file()


def find_archives(root: Path) -> Mapping[Path, str]:
    """The archives in `root` and in its split folders, each to the folder below `root` that it stands for.

    Raises:
        DataError: an archive beside its folder, which may hold a part of it only; one that lies where none is read.
    """
    splits = [entry for entry in sorted(root.iterdir()) if split_of(entry.name) and entry.is_dir()]
    if misplaced := [path for folder in splits for name in IMAGE_ARCHIVES if (path := folder / name).is_file()]:
        raise DataError(f"{misplaced[0]} lies inside {misplaced[0].parent.name}/; move it into {root}")
    targets = {
        archive: next((folder for folder in splits if split_of(folder.name) == split), root / split)
        for name, split in IMAGE_ARCHIVES.items()
        if (archive := root / name).is_file()
    }
    for folder in (root, *splits):
        targets |= {path: path.with_suffix("") for path in sorted(folder.glob("n*.tar")) if is_class_archive(path)}
    for archive, target in targets.items():
        if target.is_dir():
            raise DataError(
                f"{root} holds both {archive.relative_to(root)} and {target.relative_to(root)}/, perhaps a part of it; "
                "move the archive away if the folder is whole, else the folder: archives are read as they are"
            )
    return {archive: target.relative_to(root).as_posix() for archive, target in targets.items()}
