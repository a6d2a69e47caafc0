"""Which training images are near a held-out one, by several ways to describe images, and how often of its class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.arch.rows import Fc
from alexnet.arch.spec import Spec
from alexnet.data.splits import Split
from alexnet.errors import InputError
from alexnet.experiments.claims.answers import evenly, watched_batches
from alexnet.experiments.claims.claim import Study
from alexnet.predict import Classifier
from alexnet.preprocess import extract_views

# Ours. Six neighbours are what the figure shows; a thousand queries are sure to three points; the pixels of a small
# copy tell images apart as those of the crop do, at a fiftieth of the memory.
NEIGHBOURS, NUM_QUERIES, NUM_GALLERY, THUMBNAIL = 6, 1_000, 10_000, 32
LEAST_GALLERY = 100  # ours: of fewer images too many are neighbours, whatever they are like
_QUERIES_AT_ONCE = 256

Vectors = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Described:
    """Images described: labels (N,), their places in the split (N,), and float32 (N, D) by the name of the way."""

    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    vectors: Mapping[str, Vectors]


def hidden_layer(spec: Spec) -> str:
    """The last hidden dense row: fc7 in the nets of 2012.

    Raises:
        InputError: a net without one.
    """
    rows = [row.name for row in spec.rows if isinstance(row, Fc) and row.name != spec.classifier.name]
    if not rows:
        raise InputError(f"{spec.name} has no hidden dense row such as fc7; give weights of another net")
    return rows[-1]


def describe_both(classifier: Classifier, study: Study) -> tuple[Described, Described]:
    """The held-out images that are looked for, and the training images that they are looked for among.

    Raises:
        InputError: too few training images.
    """
    held_out, train = study.dataset.split(study.held_out), study.dataset.split("train")
    if len(train) < LEAST_GALLERY:
        raise InputError(
            f"{study.dataset.name} has {len(train)} training images; neighbours take {LEAST_GALLERY} or more"
        )
    queries = describe_images(classifier, held_out, NUM_QUERIES, study)
    return queries, describe_images(classifier, train, NUM_GALLERY, study)


def describe_images(classifier: Classifier, split: Split, most: int, study: Study) -> Described:
    """At most `most` images, evenly spread over the split, described as `features`, `codes`, `pixels`, `pixel codes`.

    features: the last hidden dense row after its ReLU. codes: which of its units are on. pixels: the central crop, 32
    pixels wide. pixel codes: which of those are above their mean over the image.
    """
    layer = hidden_layer(classifier.weights.spec)
    chosen = evenly(len(split), most)
    preprocessing, found = classifier.preprocessing, []
    for canvases, labels, sound in watched_batches(split, preprocessing, study, f"{layer} and pixels", chosen):
        crops = extract_views(canvases, preprocessing.crop, "center")[0]
        features = classifier.engine.features(crops, [layer])[layer].reshape(len(crops), -1)
        found.append((labels, sound, features, _thumbnails(crops)))
    labels, indices, features, pixels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    vectors = {
        "features": features,
        "codes": (features > 0).astype(np.float32),
        "pixels": pixels,
        "pixel codes": (pixels > pixels.mean(axis=1, keepdims=True)).astype(np.float32),
    }
    return Described(labels=labels, indices=indices, vectors=vectors)


def neighbours(queries: Vectors, gallery: Vectors, count: int = NEIGHBOURS) -> NDArray[np.int64]:
    """(N, count) places in `gallery` (M, D) of those nearest to each of `queries` (N, D), nearest first, by Euclid.

    Of codes of zeros and ones that is the order of their Hamming distances.
    """
    squares = (gallery**2).sum(axis=1)
    found = []
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        distances = (
            squares - 2 * queries[start : start + _QUERIES_AT_ONCE] @ gallery.T
        )  # but for the query's own square
        found.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
    return np.concatenate(found)


def precisions(queries: Described, gallery: Described, way: str) -> NDArray[np.float64]:
    """(N,) for each query the share of its nearest images that are of its class."""
    near = neighbours(queries.vectors[way], gallery.vectors[way])
    same: NDArray[np.float64] = (gallery.labels[near] == queries.labels[:, None]).mean(axis=1)
    return same


def _thumbnails(crops: NDArray[np.uint8]) -> Vectors:
    """(N, 3 * 32 * 32), averages over the pixels of crops (N, 3, H, W), less each image's mean."""
    size = (THUMBNAIL, THUMBNAIL)
    small = [np.asarray(Image.fromarray(crop.transpose(1, 2, 0)).resize(size, Image.Resampling.BOX)) for crop in crops]
    flat = np.asarray(small, np.float32).reshape(len(crops), -1)
    centred: Vectors = flat - flat.mean(axis=1, keepdims=True)
    return centred
