"""DATA of the command line: a folder, shards, batches or a name becomes a `DataSet`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.data.cifar import META, open_batches
from alexnet.data.digits import open_digits
from alexnet.data.folder import SPLITS, open_folder
from alexnet.data.images import SUFFIXES
from alexnet.data.shards import SHARD_SUFFIXES, ShardSplit, fingerprint, open_shard
from alexnet.data.splits import ClassInfo, DataSet, Split, check_classes, check_labels, unnamed_classes
from alexnet.errors import DataError

__all__ = ["ClassInfo", "DataSet", "Split", "open_data"]

EXPECTED = (
    "DATA is a folder of class folders, a folder with train/ and val/, tar shards (a folder or one file), "
    "a folder of CIFAR-10 or cuda-convnet batches, or digits"
)

_SPLIT_WORD = re.compile("|".join(SPLITS))
_PREFIX = re.compile(rf"({'|'.join(SPLITS)})(?![a-z])")


def open_data(where: str | Path) -> DataSet:
    """Whatever `where` is, recognised by its content. An existing path wins over a name.

    One shard alone is the split its name begins with (`train-`, `val-`, `test-`), else `train`.

    Raises:
        DataError: nothing there, nothing in it, or something in it that does not fit; one line that says what to do.
        MissingExtraError: `digits` without scikit-learn.
    """
    path = Path(where)
    if path.is_dir():
        return _open_directory(path)
    if path.is_file():
        return _open_file(path)
    if str(where) == "digits":
        return open_digits()
    raise DataError(f"{where}: no such folder, file or data set; {EXPECTED}")


def _open_directory(path: Path) -> DataSet:
    if (path / META).is_file():
        return open_batches(path)
    shards = sorted(entry for entry in path.iterdir() if _is_shard(entry))
    if shards and (folder := next((entry for entry in sorted(path.iterdir()) if _holds_images(entry)), None)):
        raise DataError(f"{path} holds shards ({shards[0].name}) and image folders ({folder.name}); name one of them")
    if shards:
        return _open_shards(path.resolve().name, shards)
    if not any(entry.is_dir() for entry in path.iterdir()):
        raise DataError(f"{path}: no images, shards or batches that are data; {EXPECTED}")
    return open_folder(path)


def _open_file(path: Path) -> DataSet:
    if not _is_shard(path):
        raise DataError(f"{path}: not a tar shard; {EXPECTED}")
    return _open_shards(path.name, [path])


def _holds_images(entry: Path) -> bool:
    return entry.is_dir() and any(inside.suffix.lower() in SUFFIXES for inside in entry.iterdir())


def _is_shard(path: Path) -> bool:
    return path.name.endswith(SHARD_SUFFIXES) and path.is_file() and not path.name.startswith(".")


def _open_shards(name: str, paths: list[Path]) -> DataSet:
    shards = {path: open_shard(path) for path in paths}
    splits = {split: ShardSplit([shards[path] for path in part]) for split, part in _by_prefix(paths).items()}
    classes = _read_classes(paths[0].parent / "classes.json")
    if not classes:
        classes = unnamed_classes(1 + max(int(split.labels.max()) for split in splits.values()))
    classes = check_classes(classes, name)
    for part in splits.values():
        check_labels(part.labels, part.paths, classes)
    return DataSet(name=name, classes=classes, splits=splits, fingerprint=fingerprint(list(shards.values())))


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
