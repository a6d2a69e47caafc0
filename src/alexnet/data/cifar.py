"""CIFAR-10 as published, in Python pickles, and batches of raw pixels for cuda-convnet.

Both are `data_batch_N` files beside a `batches.meta`; a pixel array is (images, 3072) in the first and (3072, images)
in the second, planes R, G, B, row by row. Source: cs.toronto.edu/~kriz/cifar.html; cuda-convnet convdata.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.cache import sampled_digest
from alexnet.data.pickles import load_pickle
from alexnet.data.splits import ArraySplit, ClassInfo, DataSet, check_classes, check_labels
from alexnet.errors import DataError

META = "batches.meta"

_BATCH = re.compile(r"data_batch_(\d+)")


class _Images(NamedTuple):
    pixels: NDArray[np.uint8]  # (N, H, W, 3)
    labels: NDArray[np.int64]  # (N,)
    paths: tuple[str, ...]


def open_batches(root: Path) -> DataSet:
    """A folder with `batches.meta` and its batches.

    Raises:
        DataError: no batches, a pickle that is damaged or asks for code, or arrays of other shapes.
    """
    names = _class_names(root)
    classes = check_classes((ClassInfo(index, name) for index, name in enumerate(names)), str(root / META))
    by_split = _batches_by_split(root)
    return DataSet(
        name=root.resolve().name,
        classes=classes,
        splits={split: _join([_read(path) for path in paths], classes) for split, paths in by_split.items()},
        fingerprint="-".join(sampled_digest(path)[:8] for paths in by_split.values() for path in paths),
    )


def _class_names(root: Path) -> list[str]:
    meta = load_pickle(root / META)
    names = meta.get("label_names") if isinstance(meta, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{root / META}: no label_names in it; expected the meta file of CIFAR-10 or cuda-convnet")
    return names


def _batches_by_split(root: Path) -> Mapping[str, list[Path]]:
    numbered = {int(match[1]): path for path in root.iterdir() if (match := _BATCH.fullmatch(path.name))}
    published_test = root / "test_batch"
    splits: dict[str, list[Path]] = {}
    for number, path in sorted(numbered.items()):
        splits.setdefault(_split_of(number), []).append(path)
    if published_test.exists():
        splits["test"] = [published_test]
    elif numbered.keys() == set(range(1, 7)):  # cuda-convnet's CIFAR-10: 1 to 5 train, 6 is the test set
        splits = {"train": splits["train"][:5], "test": splits["train"][5:]}
    if not splits:
        raise DataError(f"{root}: {META} but no data_batch_1, data_batch_2 ...; unpack the archive again")
    return splits


def _split_of(number: int) -> str:
    """Cuda-convnet's numbering: validation from 1000 or 2000 on, test from 3000 on, training below."""
    return "test" if number >= 3000 else "val" if number >= 1000 else "train"


def _read(path: Path) -> _Images:
    batch = load_pickle(path)
    if not isinstance(batch, dict) or not {"data", "labels"} <= batch.keys():
        raise DataError(f"{path}: not a batch; expected a dict with data and labels")
    labels = np.asarray(batch["labels"], np.int64).ravel()
    planes = _planes(batch["data"], len(labels), path)
    paths = tuple(f"{path.name}/{index:05d}" for index in range(len(labels)))
    return _Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, paths)


def _planes(data: Any, count: int, path: Path) -> NDArray[np.uint8]:
    """(N, 3, size, size), from an array of either layout."""
    shape = getattr(data, "shape", None)
    if getattr(data, "dtype", None) != np.uint8 or len(shape or ()) != 2 or count not in (shape or ()):
        raise DataError(f"{path}: expected uint8 pixels of {count} images, found {shape or type(data).__name__}")
    # A square array (3072 images) leaves the layout open; the published one, images in rows, is the likelier.
    rows = data if data.shape[0] == count else data.T
    size = round((rows.shape[1] / 3) ** 0.5)
    if 3 * size * size != rows.shape[1]:
        raise DataError(f"{path}: {rows.shape[1]} values an image are not three square planes")
    planes: NDArray[np.uint8] = rows.reshape(count, 3, size, size)
    return planes


def _join(batches: list[_Images], classes: tuple[ClassInfo, ...]) -> ArraySplit:
    labels = np.concatenate([batch.labels for batch in batches])
    paths = tuple(path for batch in batches for path in batch.paths)
    check_labels(labels, paths, classes)
    return ArraySplit(np.concatenate([batch.pixels for batch in batches]), labels, paths)
