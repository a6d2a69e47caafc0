"""Order, workers, prefetch and seeds: a split becomes batches of uint8 crops.

What a batch holds depends on the seed, the epoch and the step in it, never on the number of workers or on timing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from alexnet.data.color import draw_noise
from alexnet.data.damaged import OnDamaged, refuse
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import KeptSplit, Split
from alexnet.data.transforms import Crops, draw_crops
from alexnet.errors import DataError, ImageError, InputError
from alexnet.preprocess import Preprocessing, Resize, Window, canvas_size, check_canvas, draw_window


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees. `indices` are places in the split; `noise` is added colour in grey levels, see `color`."""

    images: NDArray[np.uint8]  # (N, 3, crop, crop), RGB, 0 to 255
    labels: NDArray[np.int64]  # (N,)
    noise: NDArray[np.float32] | None  # (N, 3)
    indices: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, kw_only=True)
class LoaderOptions:
    """How training batches are made. `crops` and `flip`: see `transforms.draw_crops`; `keep_bytes`: see `KeptSplit`.

    Raises:
        InputError: a size below one, a crop larger than the canvas, an unknown filter or way to crop.
    """

    batch_size: int
    resize: Resize
    interpolation: str
    crop: int
    crops: Crops
    chunk_size: int = 32
    flip: bool
    seed: int
    workers: int = 2
    prefetch_batches: int = 4
    keep_bytes: int = 2 << 30  # ours: 100,000 pictures of 64x64 take 1.6 GB

    def __post_init__(self) -> None:
        check_canvas(self.resize, self.interpolation, self.crop)
        for name in ("batch_size", "chunk_size", "workers", "prefetch_batches"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, it is {self.seed}")
        if self.crops not in ("chunk", "image", "center"):
            raise InputError(f"crops is chunk, image or center, not {self.crops!r}")


class TrainLoader:
    """Shuffled, cropped, mirrored batches of a split; colour noise too where `pca` = (stdevs, eigenvectors) is given.

    `on_damaged` is called with the error of every image that cannot be read, in order; its batch goes without it.

    Raises:
        DataError: an empty split.
    """

    def __init__(
        self,
        split: Split,
        options: LoaderOptions,
        pca: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        on_damaged: OnDamaged = refuse,
    ) -> None:
        if len(split) == 0:
            raise DataError("no images to train on")
        self.split = KeptSplit(split, options.keep_bytes)
        self.options = options
        self.pca = pca
        self.on_damaged = on_damaged

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass; the last one may be smaller, as in 2012."""
        return -(-len(self.split) // self.options.batch_size)

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from `first_step` of it on (to resume in its middle).

        Raises:
            DataError: what `on_damaged` raises, when the batch of a damaged image is due.
        """
        order = self._rng(epoch, 0).permutation(len(self.split))
        steps = range(first_step, self.steps_per_epoch)
        work = partial(self._batch, epoch, order)
        ahead = self.options.workers + self.options.prefetch_batches
        for batch, damaged in prefetch(work, steps, self.options.workers, ahead):
            for error in damaged:
                self.on_damaged(error)
            yield batch

    def _rng(self, epoch: int, stream: int) -> np.random.Generator:
        """Stream 0 shuffles, stream 1 + step augments that step."""
        return np.random.default_rng((self.options.seed, epoch, stream))

    def _batch(self, epoch: int, order: NDArray[np.int64], step: int) -> tuple[Batch, list[ImageError]]:
        options = self.options
        indices = order[step * options.batch_size : (step + 1) * options.batch_size]
        rng = self._rng(epoch, 1 + step)
        height, width = canvas_size(options.resize)
        offsets, flips = draw_crops(
            rng,
            len(indices),
            height - options.crop,
            width - options.crop,
            options.crops,
            options.chunk_size,
            options.flip,
        )
        noise = draw_noise(rng, len(indices), *self.pca) if self.pca else None

        def draw(place: int) -> NDArray[np.uint8]:
            """Only the pixels of the crop are drawn, not the whole canvas."""
            top, left = offsets[place].tolist()
            window = Window(top, left, options.crop, options.crop)
            picture = self.split.image(int(indices[place]))
            pixels = draw_window(picture, options.resize, options.interpolation, window)
            return (pixels[:, ::-1] if flips[place] else pixels).transpose(2, 0, 1)

        crops, sound, damaged = _draw_all(draw, len(indices), (options.crop, options.crop))
        indices = indices[sound]
        return Batch(crops, self.split.labels[indices], None if noise is None else noise[sound], indices), damaged


def eval_batches(
    split: Split,
    *,
    batch_size: int,
    preprocessing: Preprocessing,
    workers: int = 2,
    indices: NDArray[np.int64] | None = None,
    on_damaged: OnDamaged = refuse,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
    """Whole canvases in stored order: images uint8 (N, 3, H, W), labels (N,), indices (N,); views are cut later.

    `indices` chooses images and their order; all of the split without it. `on_damaged` is called with the error of
    every image that cannot be read; its batch goes without it.

    Raises:
        DataError: what `on_damaged` raises, when the batch of a damaged image is due.
    """
    chosen = np.arange(len(split)) if indices is None else np.asarray(indices, np.int64)
    batches = (chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size))
    for images, sound, damaged in prefetch(partial(_canvases, split, preprocessing), batches, workers, 2 * workers):
        for error in damaged:
            on_damaged(error)
        yield images, split.labels[sound], sound


def _canvases(
    split: Split, preprocessing: Preprocessing, indices: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[ImageError]]:
    def draw(place: int) -> NDArray[np.uint8]:
        picture = split.image(int(indices[place]))
        return draw_window(picture, preprocessing.resize, preprocessing.interpolation).transpose(2, 0, 1)

    canvases, sound, damaged = _draw_all(draw, len(indices), preprocessing.canvas)
    return canvases, indices[sound], damaged


def _draw_all(
    draw: Callable[[int], NDArray[np.uint8]], count: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[ImageError]]:
    """`draw(0)` to `draw(count - 1)` as (N, 3, *size), the places of the N sound ones, the errors of the others."""
    images = np.empty((count, 3, *size), np.uint8)
    sound: list[int] = []
    damaged: list[ImageError] = []
    for place in range(count):
        try:
            images[len(sound)] = draw(place)
        except ImageError as error:
            damaged.append(error)
        else:
            sound.append(place)
    return images[: len(sound)], np.array(sound, np.int64), damaged
