"""Images that a net sees as alike: those whose features are nearest.

Source: Krizhevsky et al. 2012, sec. 6.1 and figure 4 (right): Euclidean distance between the activations of the last
hidden layer.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from alexnet.data.collection import Collection, JoinedSplits, open_collection
from alexnet.errors import DataError, ImageError
from alexnet.features import SUFFIX, LeftOut, feature_blocks, read_collection, read_features
from alexnet.parts.job import MANIFEST
from alexnet.parts.tables import feature_parts
from alexnet.predict import Classifier, ImageSource

Block = tuple[NDArray[np.int64], NDArray[np.float32]]  # places (n,) and features (n, ...)


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """An image near another: its class where it has one, the distance of their features, its place among all."""

    path: str
    label: str | None
    distance: float
    index: int


@dataclass(frozen=True, eq=False)
class Among:
    """Where to look: images, and if their features are written already the files of these in turn, with their sizes."""

    collection: Collection
    stored: tuple[tuple[Path, int], ...] = ()

    def picture(self, near: Neighbour) -> Image | None:
        """What `near` looks like; None where its path leads to no image any more, or never did."""
        try:
            return self.collection.images.image(near.index)
        except ImageError:
            return None


def open_among(where: str, split: str | None = None) -> Among:
    """What `alexnet features` has written (.npz, or a folder of such parts), DATA, or a folder of loose images.

    Raises:
        DataError: nothing there that can be used, or a split of stored features.
    """
    path = Path(where)
    is_cut = (path / MANIFEST).is_file()
    if not is_cut and path.suffix != SUFFIX:
        return Among(open_collection([where], split))
    if split:
        raise DataError(f"{where} holds features of all that it was made of; leave --split out, or name DATA")
    collections = {part: read_collection(part) for part in (feature_parts(path) if is_cut else (path,))}
    images = JoinedSplits([each.images for each in collections.values()])
    sizes = tuple((part, len(each.images)) for part, each in collections.items())
    return Among(replace(next(iter(collections.values())), images=images), sizes)


def find_similar(
    classifier: Classifier,
    image: ImageSource,
    among: Among,
    *,
    layer: str = "fc7",
    top: int = 6,
    batch_size: int = 128,
    workers: int = 2,
    progress: Callable[[int], object] | None = None,
    left_out: LeftOut,
) -> list[Neighbour]:
    """The `top` images whose features are nearest to those of `image`, nearest first, all by their central views.

    An image that is itself among them stays in: it comes first, at a distance of 0 or of rounding, and so does a copy
    of it under another name, which one may want to know. Memory holds one block of features at a time.

    Raises:
        UnknownNameError: no such layer.
        ImageError: `image` cannot be read.
        DataError: stored features of another layer or other weights, or features that are no finite numbers.
    """
    query = classifier.features(image, layer)[0]
    if among.stored:
        blocks = _numbered(
            block for part, num_images in among.stored for block in read_features(part, classifier, layer, num_images)
        )
    else:
        images = among.collection.images
        computed = feature_blocks(
            classifier, images, [layer], batch_size=batch_size, workers=workers, left_out=left_out
        )
        blocks = ((indices, features[layer]) for indices, features in computed)
    found = nearest(query, _watched(blocks, progress), top)
    return [_neighbour(among.collection, index, distance) for index, distance in found]


def nearest(query: NDArray[np.float32], blocks: Iterable[Block], top: int) -> list[tuple[int, float]]:
    """Places and distances of the `top` rows nearest to `query` (...), nearest first; of equals the first one.

    Raises:
        DataError: a distance that is no finite number.
    """
    places, distances = np.empty(0, np.int64), np.empty(0)
    for indices, features in blocks:
        apart = np.linalg.norm((features - query).reshape(len(features), -1), axis=1)
        if not (finite := np.isfinite(apart)).all():
            raise DataError(f"the features of image {indices[~finite][0]:,} (from 0) are no finite numbers, or too far")
        places, distances = np.concatenate([places, indices]), np.concatenate([distances, apart])
        best = np.argsort(distances, kind="stable")[:top]
        places, distances = places[best], distances[best]
    return list(zip(places.tolist(), distances.tolist(), strict=True))


def _numbered(blocks: Iterable[NDArray[np.float32]]) -> Iterator[Block]:
    start = 0
    for features in blocks:
        yield np.arange(start, start + len(features)), features
        start += len(features)


def _watched(blocks: Iterable[Block], progress: Callable[[int], object] | None) -> Iterator[Block]:
    for indices, features in blocks:
        yield indices, features
        if progress:
            progress(len(indices))


def _neighbour(collection: Collection, index: int, distance: float) -> Neighbour:
    label = int(collection.images.labels[index])
    name = collection.classes[label].name if label >= 0 else None
    return Neighbour(path=collection.images.paths[index], label=name, distance=distance, index=index)
