"""An image in, labelled probabilities out. No torch of its own: an engine runs the net."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from alexnet.data.splits import ClassInfo
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.engines import Engine, Precision, open_engine
from alexnet.errors import ImageError, InputError
from alexnet.metrics import softmax
from alexnet.preprocess import (
    Preprocessing,
    Views,
    crop_offsets,
    cut_view,
    draw_canvas,
    extract_views,
    open_image,
)
from alexnet.weights import Weights, find_weights

ImageSource = str | Path | bytes | BinaryIO | Image


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One class of an image, with its probability, 0 to 1."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """Weights and the engine that runs them. Images are paths, bytes, open files or PIL images."""

    weights: Weights
    engine: Engine

    def __repr__(self) -> str:
        return f"Classifier({self.weights.spec.name}, {len(self.classes)} classes, engine {self.engine.name})"

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """What the logits stand for, in their order."""
        return self.weights.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """What the weights expect to be done to an image."""
        return self.weights.preprocessing

    def predict(self, image: ImageSource, top: int = 5, views: Views = "center") -> list[Prediction]:
        """The `top` most probable classes of one image, best first.

        Raises:
            ImageError: it is not a whole image.
        """
        return self.predict_batch([image], top, views)[0]

    def predict_batch(
        self, images: Sequence[ImageSource], top: int = 5, views: Views = "center"
    ) -> list[list[Prediction]]:
        """`predict` for several images in one pass through the net.

        Raises:
            ImageError: one of them is not a whole image.
            TypeError: it is one image.
        """
        if isinstance(images, str | bytes):
            raise TypeError("predict_batch takes a list of images; predict takes one")
        if not len(images):
            return []
        return self.ranked(self.probabilities(self._canvases(images), views), top)

    def predict_each(
        self, images: Iterable[ImageSource], top: int = 5, views: Views = "center", batch_size: int = 64
    ) -> Iterator[list[Prediction] | ImageError]:
        """`predict` for any number of images, in order, with the error itself in the place of a damaged one."""
        remaining = iter(images)
        while batch := [self._canvas_or_error(image) for image in islice(remaining, batch_size)]:
            sound = [canvas for canvas in batch if not isinstance(canvas, ImageError)]
            ranked = iter(self.ranked(self.probabilities(np.stack(sound), views), top) if sound else [])
            yield from (item if isinstance(item, ImageError) else next(ranked) for item in batch)

    def probabilities(self, images: NDArray[np.uint8], views: Views = "center") -> NDArray[np.float32]:
        """(N, K), each row sums to 1: the softmax of every view, averaged. `images`: canvases, uint8 (N, 3, H, W).

        Source: Krizhevsky et al. 2012, sec. 4.1 (ten views); the 2012 code averages after the softmax too.
        """
        crop = self.preprocessing.crop
        cuts = crop_offsets(self.preprocessing.canvas, crop, views)
        probs = np.stack([softmax(self.engine.logits(cut_view(images, crop, view), view)) for view in cuts])
        mean: NDArray[np.float32] = probs.mean(axis=0)
        return mean

    def ranked(self, probs: NDArray[np.float32], top: int = 5) -> list[list[Prediction]]:
        """The `top` most probable classes of each row of probabilities (N, K), best first.

        Raises:
            InputError: `top` is below one.
        """
        return [
            [
                Prediction(label=self.classes[index].name, index=index, probability=float(row[index]))
                for index in order.tolist()
            ]
            for row, order in zip(probs, self.best(probs, top), strict=True)
        ]

    def best(self, probs: NDArray[np.float32], top: int = 5) -> NDArray[np.int64]:
        """(N, at most `top`): the most probable classes of each row of probabilities (N, K), best first.

        Raises:
            InputError: `top` is below one.
        """
        if top < 1:
            raise InputError(f"top is {top}; it must be at least 1")
        return np.argsort(-probs, axis=1, kind="stable")[:, :top]

    def features(self, images: ImageSource | Sequence[ImageSource], layer: str = "fc7") -> NDArray[np.float32]:
        """float32 (N, ...): a layer's output for the central view of one image (N = 1) or several, or of none.

        `fc7` is after its ReLU and before dropout; `fc7:pre` is the raw row.

        Raises:
            UnknownNameError: no such layer.
            ImageError: one of them is not a whole image.
        """
        several = images if isinstance(images, Sequence) and not isinstance(images, str | bytes) else [images]
        crops = extract_views(self._canvases(several), self.preprocessing.crop, "center")[0]
        return self.engine.features(crops, [layer])[layer]

    def _canvases(self, images: Sequence[ImageSource]) -> NDArray[np.uint8]:
        canvases = np.array([self._canvas(image) for image in images], np.uint8)
        return canvases.reshape(-1, 3, *self.preprocessing.canvas)

    def _canvas(self, image: ImageSource) -> NDArray[np.uint8]:
        return np.ascontiguousarray(draw_canvas(open_image(image), self.preprocessing).transpose(2, 0, 1))

    def _canvas_or_error(self, image: ImageSource) -> NDArray[np.uint8] | ImageError:
        try:
            return self._canvas(image)
        except ImageError as error:
            return error


def load(
    weights: str | Path | Weights = DEFAULT_WEIGHTS,
    engine: str = "auto",
    *,
    device: str = "auto",
    precision: Precision = "auto",
) -> Classifier:
    """A classifier from weights: a run folder, a file, a name of `alexnet weights`, or weights already read.

    `engine`: auto, torch, onnxruntime or openvino; see `alexnet.engines` for what auto takes, `device` and `precision`.

    Raises:
        WeightsError: no such weights, or damaged ones.
        UnknownNameError: no such engine or precision.
        MissingExtraError: what the engine runs on is not installed.
        InputError: the engine knows no such device or precision.
    """
    found = weights if isinstance(weights, Weights) else find_weights(weights)
    return Classifier(weights=found, engine=open_engine(engine, found, device, precision))
