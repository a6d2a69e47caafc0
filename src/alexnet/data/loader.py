"""Order, workers, prefetch and seeds: a split becomes batches of uint8 crops.

What a batch holds depends on the seed, the epoch and the step in it, never on the number of workers or on timing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.color import draw_noise
from alexnet.data.damaged import OnDamaged, refuse
from alexnet.data.picture import KeptPictures
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import Split
from alexnet.data.transforms import Crops, draw_crops
from alexnet.errors import DataError, ImageError, InputError
from alexnet.preprocess import Preprocessing, Resize, Window, canvas_size, check_canvas, draw_canvas, draw_window
from alexnet.spans import spans


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees. `indices` are places in the split; `noise` is added colour in grey levels, see `color`.

    Channels lie last in memory (`torch.channels_last`): as pictures are decoded, and as convolutions want them.
    """

    images: NDArray[np.uint8]  # (N, 3, crop, crop), RGB, 0 to 255
    labels: NDArray[np.int64]  # (N,)
    noise: NDArray[np.float32] | None  # (N, 3)
    indices: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, kw_only=True)
class LoaderOptions:
    """How training batches are made. `crops` and `flip`: see `transforms.draw_crops`; `keep_bytes`: see `KeptPictures`.

    `crop_by_epoch`: sides of the crops of epoch 0, 1, ... where they are not `crop`; the canvas grows with them.
    `part`: (which, of how many) where several processes share the batches: each has the images of its place in all.

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
    crop_by_epoch: tuple[int, ...] = ()
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        check_canvas(self.resize, self.interpolation, self.crop)
        for name in ("batch_size", "chunk_size", "workers", "prefetch_batches"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, it is {self.seed}")
        if self.crops not in ("chunk", "image", "center"):
            raise InputError(f"crops is chunk, image or center, not {self.crops!r}")

    @property
    def ahead(self) -> int:
        """Batches made before they are asked for: fewer of large ones, so that memory is left."""
        batch_bytes = -(-self.batch_size // self.part[1]) * 3 * self.crop**2
        return max(1, min(self.workers + self.prefetch_batches, self.keep_bytes // batch_bytes))

    def of_epoch(self, epoch: int) -> "LoaderOptions":
        """The options with the canvas and the crop of one epoch."""
        if epoch >= len(self.crop_by_epoch) or (crop := self.crop_by_epoch[epoch]) == self.crop:
            return self
        height, width = (round(side * crop / self.crop) for side in canvas_size(self.resize))
        return replace(self, crop=crop, resize=height if isinstance(self.resize, int) else (height, width))


class Draws(NamedTuple):
    """What is drawn for a batch apart from pixels: which images, where each is cropped, which are mirrored, colour."""

    indices: NDArray[np.int64]  # (N,)
    offsets: NDArray[np.int64]  # (N, 2), (top, left) on the canvas
    flips: NDArray[np.bool_]  # (N,)
    noise: NDArray[np.float32] | None  # (N, 3)


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
        self.split = split
        self.pictures = KeptPictures(split, options.keep_bytes, least=max(canvas_size(options.resize)))
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
        order = self.order(epoch)
        steps = range(first_step, self.steps_per_epoch)
        work = partial(self._batch, epoch, order)
        ahead = self.options.ahead
        for batch, damaged in prefetch(work, steps, self.options.workers, ahead):
            for error in damaged:
                self.on_damaged(error)
            yield batch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The images of one pass, as they come."""
        return self._rng(epoch, 0).permutation(len(self.split))

    def draws(self, epoch: int, order: NDArray[np.int64], step: int) -> Draws:
        """What is drawn for one step of a pass: for all of its images, of which ours are given."""
        options = self.options.of_epoch(epoch)
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
        which, count = self.options.part
        part = spans(len(indices), count)[which]
        own = slice(part.start, part.stop)
        return Draws(indices[own], offsets[own], flips[own], None if noise is None else noise[own])

    def _rng(self, epoch: int, stream: int) -> np.random.Generator:
        """Stream 0 shuffles, stream 1 + step augments that step."""
        return np.random.default_rng((self.options.seed, epoch, stream))

    def _batch(self, epoch: int, order: NDArray[np.int64], step: int) -> tuple[Batch, list[ImageError]]:
        options = self.options.of_epoch(epoch)
        indices, offsets, flips, noise = self.draws(epoch, order, step)

        def draw(place: int, image: NDArray[np.uint8]) -> None:
            """Only the pixels of the crop are drawn, not the whole canvas."""
            top, left = offsets[place].tolist()
            window = Window(top, left, options.crop, options.crop)
            picture = self.pictures[int(indices[place])]
            pixels = draw_window(picture, options.resize, options.interpolation, window)
            _put_mirrored(pixels, image) if flips[place] else _put(pixels, image)

        images = np.empty((len(indices), options.crop, options.crop, 3), np.uint8).transpose(0, 3, 1, 2)
        sound, damaged = _draw_all(draw, images)
        indices = indices[sound]
        noise = None if noise is None else noise[sound]
        return Batch(images[: len(sound)], self.split.labels[indices], noise, indices), damaged


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


def canvas_blocks(
    split: Split,
    preprocessing: Preprocessing,
    *,
    indices: NDArray[np.int64] | None = None,
    batch_size: int,
    workers: int = 2,
    left_out: Callable[[str, ImageError], object],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Places (n,) and canvases (n, 3, H, W) as `eval_batches` gives them, of batches that have any.

    `left_out` takes path and error of every image that cannot be read.
    """
    chosen = np.arange(len(split)) if indices is None else indices
    damaged = list[ImageError]()
    batches = eval_batches(
        split,
        batch_size=batch_size,
        preprocessing=preprocessing,
        workers=workers,
        indices=chosen,
        on_damaged=damaged.append,
    )
    for number, (canvases, _, sound) in enumerate(batches):
        batch = chosen[number * batch_size : (number + 1) * batch_size]
        missing = batch[~np.isin(batch, sound)]
        for place, error in zip(missing.tolist(), damaged, strict=True):
            left_out(split.paths[place], error)
        damaged.clear()
        if len(sound):
            yield sound, canvases


def _canvases(
    split: Split, preprocessing: Preprocessing, indices: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[ImageError]]:
    def draw(place: int, image: NDArray[np.uint8]) -> None:
        _put(draw_canvas(split.image(int(indices[place])), preprocessing), image)

    canvases = np.empty((len(indices), 3, *preprocessing.canvas), np.uint8)
    sound, damaged = _draw_all(draw, canvases)
    return canvases[: len(sound)], indices[sound], damaged


def _draw_all(
    draw: Callable[[int, NDArray[np.uint8]], None], images: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], list[ImageError]]:
    """`draw` images one after the other, without gaps: the places of the sound ones, the errors of the others."""
    sound: list[int] = []
    damaged: list[ImageError] = []
    for place in range(len(images)):
        try:
            draw(place, images[len(sound)])
        except ImageError as error:
            damaged.append(error)
        else:
            sound.append(place)
    return np.array(sound, np.int64), damaged


def _put(pixels: NDArray[np.uint8], image: NDArray[np.uint8]) -> None:
    """Pixels (H, W, 3) into an image (3, H, W)."""
    image[:] = pixels.transpose(2, 0, 1)


def _put_mirrored(pixels: NDArray[np.uint8], image: NDArray[np.uint8]) -> None:
    """The same, left to right. Channel by channel: NumPy would go pixel by pixel, which takes five times as long."""
    for channel in range(3):
        image[channel] = pixels[:, ::-1, channel]
