"""CIFAR-10 as published, in Python pickles, and the batches of cuda-convnet: raw pixels or JPEG files.

All are `data_batch_N` files beside a `batches.meta`. A pixel array is (images, 3072) as published and (3072, images) in
cuda-convnet, planes R, G, B, row by row. Source: cs.toronto.edu/~kriz/cifar.html; convdata.py of cuda-convnet, of its
2012 release and of cuda-convnet2.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.cache import sampled_digest
from alexnet.data.jpeg_batches import JpegBatch, JpegSplit
from alexnet.data.pickles import load_pickle
from alexnet.data.splits import ArraySplit, ClassInfo, DataSet, Split, check_classes, check_labels
from alexnet.errors import DataError

META = "batches.meta"

_BATCH = re.compile(r"data_batch_(\d+)(?:\.(\d+))?")  # the second number is that of a part of a batch


class _PixelBatch(NamedTuple):
    images: NDArray[np.uint8]  # (N, H, W, 3)
    labels: NDArray[np.int64]  # (N,)
    path: Path


def open_batches(root: Path) -> DataSet:
    """A folder with `batches.meta` and its batches. Raw pixels are held in memory, JPEG files are read when asked for.

    Raises:
        DataError: no batches, a pickle that is damaged or asks for code, or arrays of other shapes.
    """
    classes, label_offset = _read_meta(root / META)
    by_split = _batches_by_split(root)
    return DataSet(
        name=root.resolve().name,
        classes=classes,
        splits={
            split: _join([_read_batch(path, label_offset) for path in paths], classes)
            for split, paths in by_split.items()
        },
        fingerprint=_fingerprint([root / META, *(path for paths in by_split.values() for path in paths)]),
    )


def _fingerprint(paths: list[Path]) -> str:
    return hashlib.sha256("".join(map(sampled_digest, paths)).encode()).hexdigest()[:32]


def _read_meta(path: Path) -> tuple[tuple[ClassInfo, ...], int]:
    """The classes, and what is added to every label."""
    meta = load_pickle(path)
    names = meta.get("label_names") if isinstance(meta, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: no label_names in it; expected the meta file of CIFAR-10 or cuda-convnet")
    label_offset = meta.get("label_offset", 0)
    if not isinstance(label_offset, int) or abs(label_offset) >= 2**31:
        raise DataError(f"{path}: label_offset is no number to add to labels; copy it again")
    return check_classes((ClassInfo(index, name) for index, name in enumerate(names)), str(path)), label_offset


def _batches_by_split(root: Path) -> Mapping[str, list[Path]]:
    batches: dict[int, list[Path]] = {}
    for batch, _, path in sorted(_numbered_files(root)):
        batches.setdefault(batch, []).append(path)
    splits: dict[str, list[Path]] = {}
    for batch, paths in batches.items():
        splits.setdefault(_split_of(batch), []).extend(paths)
    published_test = root / "test_batch"
    if published_test.exists():
        splits["test"] = [published_test]
    elif batches.keys() == set(range(1, 7)):  # cuda-convnet's CIFAR-10: 1 to 5 train, 6 is the test set
        splits = {"train": splits["train"][: -len(batches[6])], "test": batches[6]}
    if not splits:
        raise DataError(f"{root}: {META} but no data_batch_1, data_batch_2 ...; unpack the archive again")
    return splits


def _numbered_files(root: Path) -> Iterator[tuple[int, int, Path]]:
    """Number of the batch, number of its part, file; cuda-convnet2 keeps the parts of each batch in a folder."""
    for pattern in ("data_batch_*", "data_batch_*/data_batch_*"):
        for path in root.glob(pattern):
            if (match := _BATCH.fullmatch(path.name)) and path.is_file():
                yield int(match[1]), int(match[2] or 0), path


def _split_of(number: int) -> str:
    """Cuda-convnet's numbering: validation from 1000 or 2000 on, test from 3000 on, training below."""
    return "test" if number >= 3000 else "val" if number >= 1000 else "train"


def _read_batch(path: Path, label_offset: int) -> _PixelBatch | JpegBatch:
    data, labels = _data_and_labels(load_pickle(path, spans=True), path)
    labels = _class_numbers(labels, path) + label_offset
    if isinstance(data, list):
        return JpegBatch.of(data, labels, path)
    planes = _planes(data, len(labels), path)
    return _PixelBatch(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels, path)


def _data_and_labels(batch: Any, path: Path) -> tuple[Any, Any]:
    """Of a dict; or of the 2012 release's triples, which are (files, sizes, labels) or (files, labels, WordNet ids)."""
    match batch:
        case {"data": data, "labels": list(labels)}:  # each a class, or in cuda-convnet2 a list of them
            return data, [label[0] if isinstance(label, list | tuple) and label else label for label in labels]
        case {"data": data, "labels": labels}:
            return data, labels
        case (list(data), [int(), *_] as labels, _):
            return data, labels
        case (list(data), _, list(labels)):  # each (something, class); the class is None for test images
            return data, [
                (0 if label[1] is None else label[1]) if isinstance(label, list | tuple) and len(label) > 1 else None
                for label in labels
            ]
    raise DataError(f"{path}: not a batch; expected a dict with data and labels")


def _class_numbers(labels: Any, path: Path) -> NDArray[np.int64]:
    """(N,) of a flat list, or of an array of any shape and kind of number."""
    if isinstance(labels, np.ndarray) or _is_flat(labels):
        with suppress(OverflowError):  # of numbers that no float64 holds
            numbers = np.asarray(labels, np.float64).ravel()
            if np.array_equal(numbers, np.rint(numbers)) and np.abs(numbers).max(initial=0) < 2**31:
                return numbers.astype(np.int64)
    raise DataError(f"{path}: labels that are no class numbers; copy it again")


def _is_flat(labels: Any) -> bool:
    """NumPy would follow lists in lists, and one that holds another twice, which holds another twice ... has no end."""
    return isinstance(labels, list | tuple) and all(isinstance(label, int | float | np.number) for label in labels)


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


def _join(batches: list[_PixelBatch | JpegBatch], classes: tuple[ClassInfo, ...]) -> Split:
    labels = np.concatenate([batch.labels for batch in batches])
    paths = tuple(f"{batch.path.name}/{index:05d}" for batch in batches for index in range(len(batch.labels)))
    check_labels(labels, paths, classes)
    pixels = [batch for batch in batches if isinstance(batch, _PixelBatch)]
    jpegs = [batch for batch in batches if isinstance(batch, JpegBatch)]
    if pixels and jpegs:
        raise DataError(f"{pixels[0].path} holds pixels and {jpegs[0].path} JPEG files; keep them in two folders")
    if jpegs:
        return JpegSplit.of(jpegs, labels, paths)
    if len({batch.images.shape[1:] for batch in pixels}) > 1:
        raise DataError(f"{pixels[0].path.parent}: batches of images of different sizes; keep them in several folders")
    return ArraySplit(np.concatenate([batch.images for batch in pixels]), labels, paths)
