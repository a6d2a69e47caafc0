"""ILSVRC-2012 as distributed: its 1,000 classes in both orders, and the labels of its flat validation images.

Training images lie in folders named by WordNet id. The 50,000 validation images lie flat, numbered from 1; line N of
the development kit's ground truth holds the ILSVRC2012_ID (1 to 1,000) of image N. Kaggle gives the same as a CSV file.

Source: readme of ILSVRC2012_devkit_t12; the orders of Caffe (sorted WordNet ids) and of cuda-convnet (ID - 1).
"""

import csv
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from alexnet.data.splits import ClassInfo
from alexnet.errors import DataError, InputError

ClassOrder = Literal["sorted", "devkit"]

NUM_VALIDATION = 50_000
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
DEVKIT = "ILSVRC2012_devkit_t12"
DISTRIBUTED = "ILSVRC2012_"  # what the names of all published files begin with
KAGGLE_SOLUTION = "LOC_val_solution.csv"

_WNID = re.compile(r"n\d{8}")
_FLAT_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPE?G", re.IGNORECASE)
_KAGGLE_ROW = re.compile(r"ILSVRC2012_val_(\d{8})")
_PLACES = (
    GROUND_TRUTH,
    f"data/{GROUND_TRUTH}",
    f"{DEVKIT}/data/{GROUND_TRUTH}",
    f"{DEVKIT}.tar.gz",
    KAGGLE_SOLUTION,
)


class ImagenetClass(NamedTuple):
    """One of the 1,000: its number in the development kit, from 1, and the name people use."""

    ilsvrc_id: int
    name: str


@cache
def imagenet_classes() -> Mapping[str, ImagenetClass]:
    """WordNet id to class, sorted by WordNet id."""
    table = files("alexnet.data").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines()[1:])
    return {wnid: ImagenetClass(int(number), name) for _, wnid, number, name in rows}


def order_classes(folder_names: Iterable[str], order: ClassOrder, where: str) -> Iterator[ClassInfo]:
    """The classes that folders are named after, numbered from 0: by name, or as in the development kit.

    Raises:
        InputError: the development kit's order of a folder that it does not know.
    """
    names = sorted(folder_names)
    if order == "devkit":
        if odd := next((name for name in names if name not in imagenet_classes()), None):
            raise InputError(f"{where}: {odd} is none of ILSVRC's 1,000 classes; leave --class-order devkit out")
        names.sort(key=lambda name: imagenet_classes()[name].ilsvrc_id)
    return (class_info(index, name) for index, name in enumerate(names))


def class_info(index: int, folder_name: str) -> ClassInfo:
    """A class by the name of its folder; a WordNet id of ImageNet's 1,000 classes gets the name people use."""
    if not _WNID.fullmatch(folder_name):
        return ClassInfo(index, folder_name)
    known = imagenet_classes().get(folder_name)
    return ClassInfo(index, known.name if known else folder_name, folder_name)


def folder_name(info: ClassInfo) -> str:
    """The inverse of `class_info`."""
    return info.wnid or info.name


def validation_number(file_name: str) -> int | None:
    """The number in the name of a flat validation image, from 1; None for any other file."""
    match = _FLAT_NAME.fullmatch(file_name)
    return int(match[1]) if match else None


def validation_labels(root: Path, given: Path | None, highest: int) -> Mapping[int, str]:
    """Image number to WordNet id for flat validation images numbered up to `highest`.

    `given` is a ground truth file, Kaggle's CSV, or the development kit, as an archive or a folder; without it they are
    looked for in `root`, and beside it.

    Raises:
        DataError: none is found, or it does not belong to these images.
    """
    path = given or find_ground_truth(root)
    if path is None:
        raise DataError(
            f"{root}: the validation images lie flat, and their labels are missing; put {GROUND_TRUTH} or "
            f"{DEVKIT}.tar.gz beside them, or name it with --ground-truth"
        )
    labels = read_ground_truth(path)
    if len(labels) not in (NUM_VALIDATION, highest) or highest not in labels:
        raise DataError(
            f"{path} labels {len(labels):,} images, but the validation images are numbered up to {highest:,}; "
            f"ILSVRC-2012's has {NUM_VALIDATION:,} lines: take it from {DEVKIT}.tar.gz again"
        )
    return labels


def find_ground_truth(root: Path) -> Path | None:
    """The first of the usual places in a folder and in the folder that holds it."""
    folders = (root, root / "val", root.resolve().parent)
    return next((path for folder in folders for place in _PLACES if (path := folder / place).is_file()), None)


def read_ground_truth(path: Path) -> Mapping[int, str]:
    """Image number, from 1, to WordNet id.

    Raises:
        DataError: missing, or a line that is neither.
    """
    try:
        text = _text_of(path)
    except (OSError, tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no ground truth that can be read ({error})") from None
    return _parse_kaggle(text, path) if text.startswith("ImageId") else _parse_devkit(text, path)


def _text_of(path: Path) -> str:
    if path.is_dir():
        path = next((found for place in _PLACES[:3] if (found := path / place).is_file()), path / GROUND_TRUTH)
    if not path.name.endswith((".tar.gz", ".tgz", ".tar")):
        return path.read_text(encoding="utf-8")
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isreg() and member.name.rpartition("/")[2] == GROUND_TRUTH:
                content = archive.extractfile(member)
                assert content is not None  # it is a regular file
                return content.read().decode()
    raise FileNotFoundError(f"no {GROUND_TRUTH} in it")


def _parse_devkit(text: str, path: Path) -> Mapping[int, str]:
    wnids = {str(known.ilsvrc_id): wnid for wnid, known in imagenet_classes().items()}
    labels = {}
    for number, line in enumerate(text.splitlines(), start=1):
        wnid = wnids.get(line.strip())
        if wnid is None:
            raise DataError(f"{path}: line {number:,} is {line[:40]!r}, not an ILSVRC2012_ID from 1 to 1000")
        labels[number] = wnid
    return labels


def _parse_kaggle(text: str, path: Path) -> Mapping[int, str]:
    labels = {}
    for line, row in enumerate(csv.reader(text.splitlines()[1:]), start=2):
        match = _KAGGLE_ROW.fullmatch(row[0]) if len(row) == 2 else None
        wnid = row[1].partition(" ")[0] if match else ""
        if match is None or wnid not in imagenet_classes():
            raise DataError(f"{path}: line {line:,} is not an image of ILSVRC-2012 with a WordNet id and its boxes")
        labels[int(match[1])] = wnid
    return labels
