"""A split on the device, here the CPU, against the pixels that the loader draws with Pillow."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import ArraySplit
from alexnet.errors import DataError, ImageError
from alexnet.preprocess import resize_image
from alexnet.train.resident import ResidentPictures, hold_on, stretch_weights

CPU = torch.device("cpu")
OPTIONS = LoaderOptions(
    batch_size=16, resize=24, interpolation="bilinear", crop=20, crops="image", flip=True, seed=7, workers=1
)
PLENTY = 1 << 30


def split_of(height: int, width: int, count: int = 40) -> ArraySplit:
    """Noise: neighbours differ more than in photographs, so that a wrong weight shows."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    return ArraySplit(images, rng.integers(0, 5, count), tuple(f"{number}.png" for number in range(count)))


def differences(loader: TrainLoader, resident: ResidentPictures) -> np.ndarray:
    """Grey levels between our crops and the loader's, of the first two batches."""
    order, found = loader.order(0), []
    for step, batch in zip(range(2), loader.epoch(0), strict=False):
        crops = resident.crops(loader.draws(0, order, step))
        assert crops.is_contiguous(memory_format=torch.channels_last)
        assert crops.dtype == torch.uint8
        found.append(np.abs(crops.numpy().astype(int) - batch.images).ravel())
    return np.concatenate(found)


@pytest.mark.parametrize("crops", ["chunk", "image", "center"])
@pytest.mark.parametrize("size", [(30, 40), (12, 18), (24, 24), (200, 24)])
def test_canvases_are_cut_to_the_loaders_own_crops(size, crops):
    """But for the rounding of windows that `draw_window` states."""
    loader = TrainLoader(split_of(*size), dataclasses.replace(OPTIONS, crops=crops))
    resident = hold_on(CPU, loader, PLENTY)
    assert resident.pixels.shape == (40, 3, 24, 24)
    found = differences(loader, resident)
    assert found.max() <= 1
    assert found.mean() < 0.02


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize(("size", "resize"), [((12, 12), 24), ((16, 16), 25), ((12, 20), (24, 28)), ((23, 23), 24)])
def test_small_pictures_are_cut_from_canvases_as_pillow_draws_them(size, resize, interpolation):
    """The slow twin draws whole canvases, and cuts and mirrors them one by one."""
    split = split_of(*size)
    loader = TrainLoader(split, dataclasses.replace(OPTIONS, resize=resize, interpolation=interpolation, crop=19))
    resident = hold_on(CPU, loader, PLENTY)
    assert resident.pixels.shape == (40, 3, *size)
    draws = loader.draws(0, loader.order(0), 0)
    crops = resident.crops(draws).numpy().astype(int)
    canvases = [resize_image(split.image(int(index)), resize, interpolation) for index in draws.indices]
    found = [
        crop - canvas[:, top : top + 19, left : left + 19][..., :: -1 if flip else 1]
        for crop, canvas, (top, left), flip in zip(crops, canvases, draws.offsets, draws.flips, strict=True)
    ]
    assert np.abs(found).max() <= 1
    assert np.abs(found).mean() < 0.05


def test_pictures_of_64_drawn_at_256_are_those_of_the_loader(test_data):
    """The case that this is for, on real ones."""
    dataset = open_data(test_data / "tiny-imagenet/val-000.tar.gz")
    split = dataset.split("val")
    few = ArraySplit(np.stack([np.asarray(split.image(index)) for index in range(16)]), split.labels[:16], split.paths)
    loader = TrainLoader(few, dataclasses.replace(OPTIONS, batch_size=8, resize=256, crop=224))
    assert differences(loader, hold_on(CPU, loader, PLENTY)).max() == 0


def test_weights_of_a_stretched_line_are_those_of_its_neighbours():
    """Twice as many pixels: a quarter of one neighbour, three of the other, and whole at the edges."""
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75], [0, 0, 1]]
    np.testing.assert_allclose(stretch_weights(3, 6, "bilinear"), expected, atol=1e-6)


def test_pictures_that_are_not_all_of_one_size_are_held_as_canvases():
    class Mixed(ArraySplit):
        def image(self, index: int) -> Image.Image:
            picture = super().image(index)
            return picture.resize((13, 13)) if index == 5 else picture

    split = split_of(12, 12)
    loader = TrainLoader(Mixed(split.images, split.labels, split.paths), OPTIONS)
    resident = hold_on(CPU, loader, PLENTY)
    assert resident.pixels.shape == (40, 3, 24, 24)
    assert differences(loader, resident).max() <= 1


@pytest.mark.parametrize(("size", "held"), [((12, 12), 40 * 3 * 12 * 12), ((30, 40), 40 * 3 * 24 * 24)])
def test_a_split_is_held_where_half_of_the_memory_is_enough(size, held):
    loader = TrainLoader(split_of(*size), OPTIONS)
    assert hold_on(CPU, loader, 2 * held)
    assert hold_on(CPU, loader, 2 * held - 1) is None


class Damaged(ArraySplit):
    """Some pictures cannot be read."""

    broken = (0, 7)

    def image(self, index: int) -> Image.Image:
        if index in self.broken:
            raise ImageError(f"{index}.png: damaged")
        return super().image(index)


def test_damaged_images_are_told_once_and_marked():
    split, told = split_of(30, 40), []
    loader = TrainLoader(Damaged(split.images, split.labels, split.paths), OPTIONS, on_damaged=told.append)
    resident = hold_on(CPU, loader, PLENTY)
    assert [str(error) for error in told] == ["0.png: damaged", "7.png: damaged"]
    assert np.flatnonzero(~resident.is_sound).tolist() == [0, 7]


def test_too_many_damaged_images_end_the_run():
    def refuse(error: ImageError) -> None:
        raise DataError("too many")

    split = split_of(30, 40)
    loader = TrainLoader(Damaged(split.images, split.labels, split.paths), OPTIONS, on_damaged=refuse)
    with pytest.raises(DataError, match="too many"):
        hold_on(CPU, loader, PLENTY)


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(12, 12), (30, 40)])
def test_on_a_card_crops_are_those_of_the_cpu(size):
    loader = TrainLoader(split_of(*size), OPTIONS)
    on_cpu, on_card = (hold_on(torch.device(name), loader, PLENTY) for name in ("cpu", "cuda"))
    draws: Callable = loader.draws
    drawn = draws(0, loader.order(0), 0)
    far = on_card.crops(drawn).cpu().int() - on_cpu.crops(drawn).int()
    assert far.abs().max() <= 1
