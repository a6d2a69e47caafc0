"""DATA of the command line: a folder, shards, batches or a name becomes a `DataSet`."""

import json
import re
import tarfile
import zlib
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from alexnet.data.cifar import META, open_batches
from alexnet.data.cifar10 import open_cifar10
from alexnet.data.digits import open_digits
from alexnet.data.distributed import find_archives, is_class_archive
from alexnet.data.folder import open_folder
from alexnet.data.ilsvrc import DISTRIBUTED, ClassOrder
from alexnet.data.layout import SPLITS
from alexnet.data.prepared import CLASSES, SCRATCH, check_finished, find_statistics
from alexnet.data.shards import SHARD_SUFFIXES, ShardSplit, fingerprint, open_shard
from alexnet.data.splits import ClassInfo, DataSet, Split, check_classes, check_labels, unnamed_classes
from alexnet.data.trees import FolderTree, is_hidden
from alexnet.errors import DataError, InputError, ShardError

__all__ = ["ClassInfo", "DataSet", "Split", "open_data"]

EXPECTED = (
    "DATA is a folder of class folders, a folder with train/ and val/, tar shards (a folder or one file), "
    "a folder of CIFAR-10 or cuda-convnet batches, digits, or cifar10 (downloaded)"
)

_NAMED: Mapping[str, Callable[[], DataSet]] = {"digits": open_digits, "cifar10": open_cifar10}

_LOOKED_AT = 1000  # members of an archive that decide whether it is a shard
_SPLIT_WORD = re.compile("|".join(SPLITS))
_PREFIX = re.compile(rf"({'|'.join(SPLITS)})(?![a-z])")
_SHARD_NAME = re.compile(rf"({'|'.join(SPLITS)})-")


def open_data(where: str | Path, ground_truth: Path | None = None, class_order: ClassOrder = "sorted") -> DataSet:
    """Whatever `where` is, recognised by its content. An existing path wins over a name.

    One shard alone is the split its name begins with (`train-`, `val-`, `test-`), else `train`. Of image folders,
    `ground_truth` labels ILSVRC's flat validation images, and `class_order` numbers the classes.

    Raises:
        DataError: nothing there, nothing in it, or something in it that does not fit; one line that says what to do.
        DownloadError: `cifar10` is not here yet and cannot be fetched.
        MissingExtraError: `digits` without scikit-learn, `cifar10` for the first time without pooch.
    """
    path = Path(where)
    if path.is_dir() and not is_packed(path):
        return _open_images(path, ground_truth, class_order)
    if ground_truth or class_order != "sorted":
        raise InputError(f"{where} has its own labels and classes; leave --ground-truth and --class-order out")
    if path.is_dir():
        return open_batches(path) if (path / META).is_file() else _open_shard_folder(path)
    if path.is_file():
        return _open_file(path)
    if named := _NAMED.get(str(where)):
        return named()
    raise DataError(f"{where}: no such folder, file or data set; {EXPECTED}")


def is_packed(folder: Path) -> bool:
    """Whether a folder holds batches or shards, and not image files."""
    return (folder / META).is_file() or bool(_shards_in(folder)) or (folder / SCRATCH).is_dir()


def _shards_in(folder: Path) -> list[Path]:
    """Its shards. Beside image folders an archive is one only if it is named so: train-00000.tar, say."""
    shards = sorted(entry for entry in folder.iterdir() if is_shard(entry) and not is_class_archive(entry))
    if shards and _image_folder(folder):
        return [path for path in shards if _SHARD_NAME.match(path.name)]
    return shards


def _image_folder(folder: Path) -> Path | None:
    """The first folder in it that holds images."""
    inside = (entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not is_hidden(entry.name))
    return next((entry for entry in inside if FolderTree(entry).has_images()), None)


def _open_images(path: Path, ground_truth: Path | None, class_order: ClassOrder) -> DataSet:
    if archives := find_archives(path):
        name = next(iter(archives)).relative_to(path)
        raise DataError(f"{path} holds {name}, ILSVRC-2012 as distributed; pack it first: alexnet prepare {path} DST")
    if not any(entry.is_dir() for entry in path.iterdir()):
        raise DataError(f"{path}: no images, shards or batches that are data; {EXPECTED}")
    return open_folder(path, ground_truth, class_order)


def _open_shard_folder(path: Path) -> DataSet:
    check_finished(path)
    shards = _shards_in(path)
    if folder := _image_folder(path):
        raise DataError(f"{path} holds shards ({shards[0].name}) and image folders ({folder.name}); name one of them")
    return _open_shards(path.resolve().name, shards)


def _open_file(path: Path) -> DataSet:
    if not is_shard(path):
        raise DataError(f"{path}: not a tar shard; {EXPECTED}")
    return _open_shards(path.name, [path])


def is_shard(path: Path) -> bool:
    """Whether a file is a shard by its name."""
    return path.name.endswith(SHARD_SUFFIXES) and path.is_file() and not path.name.startswith((".", DISTRIBUTED))


def holds_samples(path: Path) -> bool:
    """Whether one of the first members of an archive is the class of an image. Nothing of it is written anywhere.

    Raises:
        ShardError: no archive, or a damaged one.
    """
    try:
        with tarfile.open(path, "r|*") as archive:
            return any(member.name.lower().endswith(".cls") for member in islice(archive, _LOOKED_AT))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ShardError(f"{path}: not a tar or zip archive, or a damaged one ({error}); copy it again") from None


def _open_shards(name: str, paths: list[Path]) -> DataSet:
    if other := next((path for path in paths if path.suffix != ".tar" and not holds_samples(path)), None):
        raise DataError(
            f"{other}: no images with their classes beside them; pack it first: alexnet prepare {other} DST"
        )
    shards = {path: open_shard(path) for path in paths}
    splits = {split: ShardSplit([shards[path] for path in part]) for split, part in _by_prefix(paths).items()}
    classes = _read_classes(paths[0].parent / CLASSES)
    if not classes:
        classes = unnamed_classes(1 + max(int(split.labels.max()) for split in splits.values()))
    classes = check_classes(classes, name)
    for part in splits.values():
        check_labels(part.labels, part.paths, classes)
    train = {shard.name: shard.digest for shard in shards.values() if shard.name.startswith("train-")}
    return DataSet(
        name=name,
        classes=classes,
        splits=splits,
        fingerprint=fingerprint(list(shards.values())),
        statistics=find_statistics(paths[0].parent, train),
    )


def _by_prefix(paths: list[Path]) -> Mapping[str, list[Path]]:
    """Shards by split. Where no name begins with one, all are `train`; where only some do, the others are an error."""
    found = {path: match[1] for path in paths if (match := _PREFIX.match(path.name))}
    if not found and len(paths) > 1 and any(_SPLIT_WORD.search(path.name) for path in paths):
        raise DataError(f"{paths[0].name}: of which split? name shards train-*, val-* or test-*")
    if not found:
        return {"train": paths}
    if odd := [path.name for path in paths if path not in found]:
        raise DataError(f"{odd[0]}: of which split? name shards train-*, val-* or test-*")
    return {split: part for split in SPLITS if (part := [path for path in paths if found[path] == split])}


def _read_classes(path: Path) -> tuple[ClassInfo, ...]:
    """The classes of `classes.json`: a list of names, or of objects with index, name and perhaps wnid; () if absent."""
    if not path.is_file():
        return ()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(_to_class(index, rows[index]) for index in range(len(rows)))
    except (ValueError, LookupError, TypeError):
        raise DataError(f"{path}: expected a list of names, or of objects with index, wnid and name") from None


def _to_class(index: int, row: Any) -> ClassInfo:
    if isinstance(row, str):
        return ClassInfo(index, row)
    return ClassInfo(int(row["index"]), str(row["name"]), row.get("wnid"))
