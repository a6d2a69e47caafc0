"""A classifier, or several averaged, over a split of a data set: errors and loss by the protocol of 2012."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.damaged import OnDamaged, refuse
from alexnet.data.loader import eval_batches
from alexnet.data.splits import ClassInfo, Split
from alexnet.errors import DataError, RunError, WeightsError
from alexnet.metrics import MIN_CLASSES_FOR_TOP5, nll, topk_credit
from alexnet.predict import Classifier
from alexnet.preprocess import Resize, Views
from alexnet.weights.classes import match_classes

Canvas = tuple[Resize, str, int | None]  # what decides the pixels of a canvas: resize, interpolation, reduce_to
Canvases = dict[Canvas, NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Errors as fractions, with their protocol. `loss`: nats an image of the averaged probabilities.

    images_per_second: None where all had been measured before.
    """

    top1_error: float
    top5_error: float | None  # None under six classes
    loss: float
    images: int
    views: Views
    images_per_second: float | None

    def record(self, data: str, split: str | None) -> dict[str, Any]:
        """The errors as weights keep them, with the data and the split that they are of."""
        errors = {"top1_error": self.top1_error, "top5_error": self.top5_error}
        return {"data": data, "split": split, "views": self.views, "images": self.images, **errors}


class Sums(NamedTuple):
    """What images come to, added up: right answers among one and among five, nats, and how many they are."""

    top1: float
    top5: float
    loss: float
    images: float

    def evaluation(self, num_classes: int, views: Views, images_per_second: float | None) -> Evaluation:
        """What they come to, of some images, among `num_classes`."""
        return Evaluation(
            top1_error=1 - self.top1 / self.images,
            top5_error=1 - self.top5 / self.images if num_classes >= MIN_CLASSES_FOR_TOP5 else None,
            loss=self.loss / self.images,
            images=int(self.images),
            views=views,
            images_per_second=images_per_second,
        )


Measure = Callable[[NDArray[np.int64]], Sums]  # takes places of images


def all_here(count: int, _: int, measure: Measure) -> Sums:
    """Measure `count` images in this process."""
    return measure(np.arange(count))


def evaluate(
    classifiers: Sequence[Classifier],
    split: Split,
    data_classes: Sequence[ClassInfo],
    *,
    views: Views = "center",
    batch_size: int = 128,
    workers: int = 2,
    progress: Callable[[int], object] | None = None,
    on_damaged: OnDamaged = refuse,
    on_probabilities: Callable[[NDArray[np.float32]], object] | None = None,
    divide: Callable[[int, int, Measure], Sums] = all_here,
) -> Evaluation:
    """Errors and loss of the mean of the classifiers' probabilities over `split`; see `measurer`.

    The rate includes decoding. `divide(count, batch_size, measure)` may have several processes measure some of `count`
    images each, and add up what they find; if each takes whole batches, nothing but the order of adding changes.

    Raises:
        DataError: no images, or classes that the weights do not know.
        ImageError: a damaged image, unless `on_damaged` bears it.
        WeightsError: the classifiers do not know the same classes.
        RunError: probabilities that are not numbers.
    """
    start = perf_counter()
    measure = measurer(
        classifiers,
        split,
        data_classes,
        views=views,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        on_damaged=on_damaged,
        on_probabilities=on_probabilities,
    )
    sums = divide(len(split), batch_size, measure)
    if not sums.images:
        raise DataError(f"all of {len(split)} images are damaged; are the data still there?")
    return sums.evaluation(len(classifiers[0].classes), views, sums.images / (perf_counter() - start))


def measurer(
    classifiers: Sequence[Classifier],
    split: Split,
    data_classes: Sequence[ClassInfo],
    *,
    views: Views = "center",
    batch_size: int = 128,
    workers: int = 2,
    progress: Callable[[int], object] | None = None,
    on_damaged: OnDamaged = refuse,
    on_probabilities: Callable[[NDArray[np.float32]], object] | None = None,
) -> Measure:
    """A function that measures the mean of the classifiers' probabilities on the images of `split` at some places.

    The data's classes are found among the weights' by `match_classes`; the weights may know more, and then err among
    all of theirs. `progress` is called with the number of images of each batch, `on_probabilities` with its averaged
    probabilities (n, K). Where `on_damaged` bears the error of an image that cannot be read, the image does not count.

    Raises:
        Exception: see `evaluate`.
    """
    if not len(split):
        raise DataError("there are no images to evaluate on")
    columns = [_columns(classifiers[0], other) for other in classifiers]
    index_of_label = match_classes(data_classes, classifiers[0].classes)

    def measure(indices: NDArray[np.int64]) -> Sums:
        sums = np.zeros(len(Sums._fields))
        for canvases, data_labels in _batches(classifiers, split, batch_size, workers, on_damaged, indices):
            if not len(data_labels):
                continue
            probs = _mean_probabilities(classifiers, columns, canvases, views)
            if on_probabilities:
                on_probabilities(probs)
            labels = index_of_label[data_labels]
            right = (topk_credit(probs, labels, 1).sum(), topk_credit(probs, labels, 5).sum())
            sums += [*right, nll(probs, labels).sum(), len(labels)]
            if progress:
                progress(len(labels))
        return Sums(*sums.tolist())

    return measure


def _columns(first: Classifier, other: Classifier) -> NDArray[np.int64]:
    """The order in which `other` gives the classes of `first`."""
    if len(first.classes) != len(other.classes):
        raise WeightsError(
            f"an ensemble needs the same classes: {first.weights.spec.name} has {len(first.classes)}, "
            f"{other.weights.spec.name} has {len(other.classes)}"
        )
    try:
        return match_classes(first.classes, other.classes)
    except DataError:
        raise WeightsError("an ensemble needs the same classes; these weights name different ones") from None


def _batches(
    classifiers: Sequence[Classifier],
    split: Split,
    batch_size: int,
    workers: int,
    on_damaged: OnDamaged,
    indices: NDArray[np.int64],
) -> Iterator[tuple[Canvases, NDArray[np.int64]]]:
    """Canvases by how they were made, uint8 (N, 3, H, W), with labels (N,): nets that see images alike share them."""
    streams = {
        _canvas(classifier): eval_batches(
            split,
            batch_size=batch_size,
            preprocessing=classifier.preprocessing,
            workers=workers,
            indices=indices,
            on_damaged=on_damaged,
        )
        for classifier in classifiers
    }
    for batches in zip(*streams.values(), strict=True):
        images = [batch_images for batch_images, _, _ in batches]
        yield dict(zip(streams, images, strict=True)), batches[0][1]


def _canvas(classifier: Classifier) -> Canvas:
    way = classifier.preprocessing
    return way.resize, way.interpolation, way.reduce_to


def _mean_probabilities(
    classifiers: Sequence[Classifier], columns: Sequence[NDArray[np.int64]], canvases: Canvases, views: Views
) -> NDArray[np.float32]:
    """(N, K) in the class order of the first classifier."""
    probs = [
        classifier.probabilities(canvases[_canvas(classifier)], views)[:, order]
        for classifier, order in zip(classifiers, columns, strict=True)
    ]
    mean: NDArray[np.float32] = np.mean(probs, axis=0)
    if not np.isfinite(mean).all():
        raise RunError("the net's probabilities are not numbers; its weights overflow on these images")
    return mean
