"""What a net's layers say about images, for all the images of a collection, kept in a file that NumPy reads.

The NPZ file is a table (see `data.tables`) of `features` (N, ...), the first layer's, and `features.LAYER` of every
further one. It also has `layers`, in their order, and `probe` (`probe.LAYER`), the probe image's own features, by which
`similar` knows that two sets are of one net.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from alexnet.data.collection import NO_LABEL, Collection
from alexnet.data.folder import FolderSplit
from alexnet.data.loader import canvas_blocks
from alexnet.data.npz import read_array, read_blocks, read_words
from alexnet.data.splits import ClassInfo, Split
from alexnet.data.tables import Table, write_npz_table
from alexnet.engines import TOLERANCES
from alexnet.errors import DataError, ImageError, InputError
from alexnet.predict import Classifier
from alexnet.preprocess import extract_views
from alexnet.weights import probe_view

SUFFIX = ".npz"
# Of the largest feature: engines that round differently stay below, two nets are far above.
SAME_NET = max(TOLERANCES.values())

Features = dict[str, NDArray[np.float32]]
LeftOut = Callable[[str, ImageError], object]  # takes the path of an image that cannot be read, and why


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What went into a file of features. `layers`: name to shape, (N, ...). `errors`: path to what is wrong there."""

    layers: dict[str, tuple[int, ...]]
    images: int
    errors: list[tuple[str, ImageError]] = field(default_factory=list)
    images_per_second: float


def extract_features(
    classifier: Classifier,
    collection: Collection,
    layers: Sequence[str],
    out: str | Path,
    *,
    batch_size: int = 128,
    workers: int = 2,
    progress: Callable[[int], object] | None = None,
) -> Extracted:
    """Write the features of every image's central view to `out`, in the collection's order, whole or not at all.

    Damaged images are left out. Memory holds a few batches, however many images there are.

    Raises:
        UnknownNameError: no such layer.
        InputError: `out` does not end in .npz, or no image is sound.
        OSError: the folder of `out` is missing or read-only, or the disk is full.
    """
    if Path(out).suffix != SUFFIX:
        raise InputError(f"features are written as {SUFFIX}; call the file {Path(out).with_suffix(SUFFIX)}, not {out}")
    probe = probe_features(classifier, layers)
    errors, start = list[tuple[str, ImageError]](), perf_counter()
    blocks = feature_blocks(
        classifier,
        collection.images,
        list(probe),
        batch_size=batch_size,
        workers=workers,
        left_out=lambda path, error: errors.append((path, error)),
    )
    write_npz_table(out, feature_table(collection, probe, _watched(blocks, errors, progress), errors))
    images, seconds = len(collection.images) - len(errors), perf_counter() - start
    return Extracted(
        layers={layer: (images, *rows.shape[1:]) for layer, rows in probe.items()},
        images=images,
        errors=errors,
        images_per_second=images / seconds,
    )


def probe_features(classifier: Classifier, layers: Sequence[str]) -> Features:
    """What layers, each once, say about the probe image (1, ...).

    Raises:
        UnknownNameError: no such layer.
    """
    return classifier.engine.features(probe_view(classifier.preprocessing), list(dict.fromkeys(layers)))


def feature_table(
    collection: Collection,
    probe: Features,
    blocks: Iterable[tuple[NDArray[np.int64], Features]],
    errors: Sequence[tuple[str, ImageError]],
) -> Table:
    """The rows of a file of features. `probe`: of `probe_features`, for the same layers as `blocks`."""
    layers = list(probe)
    return Table(
        collection=collection,
        empty=_named("features", {layer: rows[:0] for layer, rows in probe.items()}),
        blocks=((indices, _named("features", features)) for indices, features in blocks),
        errors=errors,
        words={"layers": layers},
        arrays=_named("probe", probe),
    )


def feature_blocks(
    classifier: Classifier,
    images: Split,
    layers: Sequence[str],
    *,
    indices: NDArray[np.int64] | None = None,
    batch_size: int = 128,
    workers: int = 2,
    left_out: LeftOut,
) -> Iterator[tuple[NDArray[np.int64], Features]]:
    """Places in `images` (n,) and features (n, ...) by layer, batch by batch; damaged images go to `left_out`.

    `indices` chooses images and their order; all of them without it.
    """
    for sound, canvases in canvas_blocks(
        images, classifier.preprocessing, indices=indices, batch_size=batch_size, workers=workers, left_out=left_out
    ):
        crops = extract_views(canvases, classifier.preprocessing.crop, "center")[0]
        yield sound, classifier.engine.features(crops, layers)


def read_collection(path: str | Path) -> Collection:
    """The images that a file of features is about; they can be opened where their paths still lead to them.

    Raises:
        DataError: it is not such a file, damaged, or about no images.
    """
    names, paths, root = read_words(path, "classes"), read_words(path, "paths"), read_words(path, "root")
    labels = read_array(path, "labels", np.int64, (len(paths),))
    if not paths:
        raise DataError(f"{path} holds features of no images")
    if labels.min() < NO_LABEL or labels.max() >= len(names):
        raise DataError(f"{path}: labels from {labels.min()} to {labels.max()}, but {len(names)} classes")
    where = Path(root[0]) if root else None
    classes = tuple(ClassInfo(index, name) for index, name in enumerate(names))
    return Collection(FolderSplit(where or Path(), paths, labels), classes, where)


def read_features(
    path: str | Path, classifier: Classifier, layer: str, num_images: int
) -> Iterator[NDArray[np.float32]]:
    """The features (n, ...) of a layer for the `num_images` of a file, some tens of megabytes at a time.

    Raises:
        DataError: the file has not this layer, was written with other weights than the classifier's, or is damaged.
    """
    layers = read_words(path, "layers")
    if layer not in layers:
        raise DataError(f"{path} holds features of {', '.join(layers)}, not of {layer}; choose one of those, or DATA")
    ours = classifier.engine.features(probe_view(classifier.preprocessing), [layer])[layer]
    theirs = read_array(path, array_name("probe", layer, layers), np.float32, (None,) * ours.ndim)
    if theirs.shape != ours.shape or not np.abs(theirs - ours).max() <= SAME_NET * np.abs(ours).max():
        raise DataError(f"{path} was written with other weights; give those, or DATA for features to be computed again")
    yield from read_blocks(path, array_name("features", layer, layers), np.float32, (num_images, *ours.shape[1:]))


def array_name(what: str, layer: str, layers: Sequence[str]) -> str:
    """What an array is called in the file: `features` for the first layer, `features.LAYER` for the others."""
    return what if layer == layers[0] else f"{what}.{layer}"


def _watched(
    blocks: Iterable[tuple[NDArray[np.int64], Features]],
    errors: Sequence[tuple[str, ImageError]],
    progress: Callable[[int], object] | None,
) -> Iterator[tuple[NDArray[np.int64], Features]]:
    """The blocks, of which there must be some."""
    found = 0
    for indices, features in blocks:
        found += len(indices)
        yield indices, features
        if progress:
            progress(len(indices))
    if found:
        return
    if len(errors) == 1:
        raise errors[0][1]
    raise DataError(f"all of {len(errors)} images are damaged, the first is {errors[0][1]}" if errors else "no images")


def _named(what: str, features: Features) -> Features:
    layers = list(features)
    return {array_name(what, layer, layers): rows for layer, rows in features.items()}
