"""A split held on the device as uint8, decoded once: of a batch only places, crops and flips go over.

Where all pictures have one size and fill the canvas they are kept as they are, and drawn on the device as Pillow draws
them: first the columns, rounded, then the rows. So 100,000 pictures of 64x64 take 1.2 GB, not the 20 GB of their
canvases. All others are kept as canvases, of which crops are cut.
"""

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from alexnet.data.loader import Draws, LoaderOptions, TrainLoader
from alexnet.data.picture import KeptPictures
from alexnet.data.prefetch import prefetch
from alexnet.errors import ImageError
from alexnet.preprocess import FILTERS, canvas_size, draw_window

Size = tuple[int, int]  # (height, width)

CHUNK = 256  # pictures that go over at a time

# Ours: the other half is the net's, whose activations at batch 128 take under two gigabytes.
SHARE_OF_FREE_MEMORY = 0.5


class _OtherSizeError(Exception):
    """A picture is not of the size that all were taken to have."""


class ResidentPictures:
    """The pictures of a loader's split on `device`, all of one `size`; `is_sound` (N,) where one could be read."""

    def __init__(self, pixels: Tensor, is_sound: NDArray[np.bool_], options: LoaderOptions) -> None:
        self.pixels, self.is_sound, self._options = pixels, is_sound, options  # uint8 (N, 3, height, width)
        self._canvas = canvas_size(options.resize)

    def crops(self, draws: Draws) -> Tensor:
        """What the loader would cut for these draws: uint8 (N, 3, crop, crop), channels last in memory.

        Cut from whole canvases, which are Pillow's. Where these are drawn here up to 5 % of the pixels are rounded the
        other way, by one grey level, those that lie half way; from 64 to 256 none. The loader's own windows differ from
        such cuts as `draw_window` says.
        """
        device, crop = self.pixels.device, self._options.crop
        indices, offsets, flips = (torch.from_numpy(array).to(device) for array in draws[:3])
        along = torch.arange(crop, device=device)
        rows = offsets[:, :1] + along  # (N, crop), on the canvas
        columns = offsets[:, 1:] + torch.where(flips[:, None], crop - 1 - along, along)
        if self.pixels.shape[2:] == self._canvas:
            everywhere = torch.arange(3, device=device)
            images = self.pixels[
                indices[:, None, None, None], everywhere, rows[:, :, None, None], columns[:, None, :, None]
            ]
            return images.permute(0, 3, 1, 2)
        down, across = self._weights
        pictures = self.pixels[indices].float()
        stretched = _rounded(pictures @ across[columns].mT[:, None])  # (N, 3, height, crop)
        return _rounded(down[rows][:, None] @ stretched).to(torch.uint8, memory_format=torch.channels_last)

    @cached_property
    def _weights(self) -> tuple[Tensor, Tensor]:
        """Pillow's own: what each picture's row and column adds to each of the canvas."""
        height, width = self.pixels.shape[2:]
        down, across = (
            torch.from_numpy(stretch_weights(side, canvas, self._options.interpolation)).to(self.pixels.device)
            for side, canvas in zip((height, width), self._canvas, strict=True)
        )
        return down, across


def stretch_weights(side: int, canvas: int, interpolation: str) -> NDArray[np.float32]:
    """(canvas, side): the picture of one bright pixel for each pixel of a line that is resized."""
    impulses = Image.fromarray(np.eye(side, dtype=np.float32))
    return np.array(impulses.resize((side, canvas), FILTERS[interpolation]))


def _rounded(values: Tensor) -> Tensor:
    return values.add_(0.5).floor_().clamp_(0, 255)


def hold_on(device: torch.device, loader: TrainLoader, free_bytes: int) -> ResidentPictures | None:
    """The split of `loader` on `device`; None where it would take more than a half of `free_bytes`, or crops grow.

    The errors of damaged images go to `loader.on_damaged`.

    Raises:
        DataError: what that raises.
    """
    if loader.options.crop_by_epoch:
        return None
    pictures = KeptPictures(loader.split, keep_bytes=0, least=max(canvas_size(loader.options.resize)))
    for size in _sizes(pictures, loader):
        if len(loader.split) * 3 * size[0] * size[1] > SHARE_OF_FREE_MEMORY * free_bytes:
            return None
        try:
            return _fill(device, loader, pictures, size)
        except _OtherSizeError:
            continue
    return None


def _sizes(pictures: KeptPictures, loader: TrainLoader) -> list[Size]:
    """In which to hold the pictures, best first."""
    resize, canvas = loader.options.resize, canvas_size(loader.options.resize)
    try:
        width, height = pictures[0].size
    except ImageError:
        return [canvas]
    is_smaller = height * width < canvas[0] * canvas[1]
    fills_canvas = height == width or isinstance(resize, tuple)
    return [(height, width), canvas] if is_smaller and fills_canvas else [canvas]


def _fill(device: torch.device, loader: TrainLoader, pictures: KeptPictures, size: Size) -> ResidentPictures:
    count, options = len(loader.split), loader.options
    draw = partial(_canvas, options) if size == canvas_size(options.resize) else partial(_as_it_is, size)
    held = torch.empty(count, 3, *size, dtype=torch.uint8, device=device)
    is_sound = np.ones(count, bool)

    def read(start: int) -> tuple[int, NDArray[np.uint8], list[ImageError]]:
        chunk = np.zeros((min(CHUNK, count - start), 3, *size), np.uint8)
        damaged = []
        for place, image in enumerate(chunk):
            try:
                image[:] = draw(pictures, start + place).transpose(2, 0, 1)
            except ImageError as error:
                is_sound[start + place] = False
                damaged.append(error)
        return start, chunk, damaged

    for start, chunk, damaged in prefetch(read, range(0, count, CHUNK), options.workers, 2 * options.workers):
        for error in damaged:
            loader.on_damaged(error)
        held[start : start + len(chunk)] = torch.from_numpy(chunk).to(device)
    return ResidentPictures(held, is_sound, options)


Drawing = Callable[[KeptPictures, int], NDArray[np.uint8]]  # of one picture, (height, width, 3)


def _canvas(options: LoaderOptions, pictures: KeptPictures, index: int) -> NDArray[np.uint8]:
    return draw_window(pictures[index], options.resize, options.interpolation)


def _as_it_is(size: Size, pictures: KeptPictures, index: int) -> NDArray[np.uint8]:
    pixels = np.asarray(pictures[index].pixels)
    if pixels.shape[:2] != size:
        raise _OtherSizeError
    return pixels
