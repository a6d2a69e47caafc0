import dataclasses
import threading
import time
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.data.loader import LoaderOptions, TrainLoader, eval_batches
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import ArraySplit
from alexnet.data.transforms import draw_crops
from alexnet.errors import DataError, ImageError, InputError
from alexnet.preprocess import Preprocessing, draw_canvas, resize_image

PCA = (np.array([1, 2, 3], np.float32), np.eye(3, dtype=np.float32))
OPTIONS = LoaderOptions(
    batch_size=16, resize=24, interpolation="bilinear", crop=20, crops="chunk", chunk_size=5, flip=True, seed=7
)


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70, 12, 18, 3), np.uint8)
    return ArraySplit(images, rng.integers(0, 5, 70), tuple(f"{number}.png" for number in range(70)))


class Damaged:
    """A split whose image 3 cannot be read."""

    def __init__(self, split):
        self.labels, self.paths, self._split = split.labels, split.paths, split

    def __len__(self):
        return len(self._split)

    def image(self, index) -> Image.Image:
        if index == 3:
            raise ImageError("3.png: damaged")
        return self._split.image(index)


def assert_same_batches(ours, theirs):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        for field in dataclasses.fields(a):
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("alexnet-data")]


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("prefetch_batches", [1, 9])
def test_workers_and_prefetch_do_not_change_the_batches(split, workers, prefetch_batches):
    options = dataclasses.replace(OPTIONS, workers=workers, prefetch_batches=prefetch_batches)
    one = TrainLoader(split, dataclasses.replace(OPTIONS, workers=1), PCA)
    assert_same_batches(one.epoch(3), TrainLoader(split, options, PCA).epoch(3))


def test_resuming_in_the_middle_of_an_epoch_gives_the_remaining_batches(split):
    uninterrupted = TrainLoader(split, OPTIONS, PCA)
    list(uninterrupted.epoch(0))
    assert_same_batches(islice(uninterrupted.epoch(1), 2, None), TrainLoader(split, OPTIONS, PCA).epoch(1, 2))


def test_an_epoch_is_every_image_once_in_an_order_of_its_own(split):
    loader = TrainLoader(split, OPTIONS)
    orders = []
    for epoch in range(2):
        batches = list(loader.epoch(epoch))
        assert [len(batch.labels) for batch in batches] == [16, 16, 16, 16, 6]
        assert len(batches) == loader.steps_per_epoch
        orders.append(np.concatenate([batch.indices for batch in batches]))
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(70))
        for batch in batches:
            np.testing.assert_array_equal(batch.labels, split.labels[batch.indices])
            assert batch.noise is None
    assert (orders[0] != orders[1]).any()
    other_seed = next(TrainLoader(split, dataclasses.replace(OPTIONS, seed=8)).epoch(0))
    assert (other_seed.indices != orders[0][:16]).any()


@pytest.mark.parametrize("crops", ["chunk", "image", "center"])
def test_crops_equal_resizing_whole_images_and_cutting_them(split, crops):
    """The slow twin draws the whole canvas; 12 to 24 pixels is a power of two, so windows are exact."""
    options = dataclasses.replace(OPTIONS, crops=crops)
    batch = next(TrainLoader(split, options).epoch(5))
    canvases = np.stack([resize_image(split.image(index), 24, "bilinear") for index in batch.indices])
    rng = np.random.default_rng((options.seed, 5, 1))
    offsets, flips = draw_crops(rng, 16, 4, 4, crops, 5)
    for image, canvas, (top, left), flip in zip(batch.images, canvases, offsets, flips, strict=True):
        crop = canvas[:, top : top + 20, left : left + 20]
        assert np.abs(image.astype(int) - crop[..., :: -1 if flip else 1]).max() <= 1
    assert batch.images.transpose(0, 2, 3, 1).flags.c_contiguous  # torch's channels_last, without a copy


def test_small_pictures_are_decoded_once_and_large_ones_not_kept(split):
    decoded = []

    class Counting(Damaged):
        def image(self, index):
            decoded.append(index)
            return split.image(index)

    whole = 70 * 12 * 18 * 4
    for keep_bytes, expected in ((whole, 70), (whole - 1, 140)):
        decoded.clear()
        loader = TrainLoader(Counting(split), dataclasses.replace(OPTIONS, keep_bytes=keep_bytes))
        twice = [list(loader.epoch(0)) for _ in range(2)]
        assert_same_batches(*twice)
        assert len(decoded) == expected


def test_a_damaged_image_reaches_the_consumer_by_name_and_no_thread_stays(split):
    with pytest.raises(ImageError, match=r"3\.png: damaged"):
        list(TrainLoader(Damaged(split), OPTIONS).epoch(0))
    assert loader_threads() == []


def test_leaving_early_leaves_no_thread_behind(split):
    batches = TrainLoader(split, OPTIONS).epoch(0)
    next(batches)
    assert loader_threads()
    batches.close()
    assert loader_threads() == []


def test_prefetch_works_ahead_as_far_as_told_and_keeps_the_order():
    begun = []

    def slow_first(item):
        begun.append(item)
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    results = prefetch(slow_first, range(20), workers=3, ahead=4)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(begun) == 5
    assert list(results) == [item * item for item in range(1, 20)]


def test_eval_batches_are_whole_canvases_in_stored_order(split):
    settings = Preprocessing(resize=(10, 14), crop=9)
    batches = list(eval_batches(split, batch_size=32, preprocessing=settings, workers=2))
    images, labels, indices = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(indices, np.arange(70))
    np.testing.assert_array_equal(labels, split.labels)
    expected = np.stack([resize_image(split.image(index), (10, 14), "bilinear") for index in range(70)])
    np.testing.assert_array_equal(images, expected)


def test_eval_batches_are_reduced_where_the_weights_ask_for_it(split):
    settings = Preprocessing(resize=10, crop=9, reduce_to=4)
    [(images, *_), *_] = eval_batches(split, batch_size=32, preprocessing=settings, workers=1)
    np.testing.assert_array_equal(images[7], draw_canvas(split.image(7), settings).transpose(2, 0, 1))
    assert (images[7] != resize_image(split.image(7), 10, "bilinear")).any()


def test_eval_batches_of_chosen_images_keep_their_order(split):
    chosen = np.array([40, 2, 41])
    settings = Preprocessing(resize=10, crop=9)
    batches = list(eval_batches(split, batch_size=2, preprocessing=settings, workers=1, indices=chosen))
    np.testing.assert_array_equal(np.concatenate([indices for *_, indices in batches]), chosen)


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"crop": 25}, {"crops": "corner"}, {"seed": -1}, {"workers": 0}, {"interpolation": "area"}],
)
def test_options_that_cannot_work_are_refused_at_once(wrong):
    with pytest.raises(InputError):
        dataclasses.replace(OPTIONS, **wrong)


def test_an_empty_split_is_refused(split):
    empty = ArraySplit(split.images[:0], split.labels[:0], ())
    with pytest.raises(DataError, match="no images"):
        TrainLoader(empty, OPTIONS)


def test_real_shards_give_the_same_batches_for_any_number_of_workers(test_data):
    split = open_data(test_data / "cifar10" / "test-000.tar.gz").split("test")
    options = dataclasses.replace(OPTIONS, batch_size=64, resize=32, crop=24, crops="image")
    one, two = (TrainLoader(split, dataclasses.replace(options, workers=workers), PCA) for workers in (1, 2))
    assert_same_batches(islice(one.epoch(0), 4), islice(two.epoch(0), 4))


def test_an_epoch_may_have_smaller_images_of_the_same_draws(split):
    """The same places of the pictures at half the size: averages of two by two pixels, but for rounding and edges."""
    options = dataclasses.replace(OPTIONS, resize=32, crop=28, crops="center", flip=False)
    growing = TrainLoader(split, dataclasses.replace(options, crop_by_epoch=(14, 28)))
    small, full = next(growing.epoch(0)), next(TrainLoader(split, options).epoch(0))
    assert small.images.shape[2:] == (14, 14)
    assert np.array_equal(small.indices, full.indices)
    halves = full.images.reshape(-1, 3, 14, 2, 14, 2).mean((3, 5))
    assert np.abs(halves - small.images).mean() < 12
    for epoch in (1, 2):  # those beyond the list are of the crop's own size
        assert_same_batches(growing.epoch(epoch), TrainLoader(split, options).epoch(epoch))


@pytest.mark.parametrize("crops", ["chunk", "image"])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_laid_together_are_the_batch_of_all(split, crops, count):
    """Also those of a last batch with fewer images than parts, and chunks of crops that lie in two parts."""
    options = dataclasses.replace(OPTIONS, crops=crops)
    whole = list(TrainLoader(split, options, PCA).epoch(2))
    parts = [
        list(TrainLoader(split, dataclasses.replace(options, part=(which, count)), PCA).epoch(2))
        for which in range(count)
    ]
    assert len(whole[-1].labels) == 6
    for step, batch in enumerate(whole):
        for field in dataclasses.fields(batch):
            laid = np.concatenate([getattr(part[step], field.name) for part in parts])
            np.testing.assert_array_equal(laid, getattr(batch, field.name))
    sizes = [len(part[-1].labels) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_damaged_image_is_missing_in_one_part_alone(split):
    left_out = []
    parts = [
        list(TrainLoader(Damaged(split), dataclasses.replace(OPTIONS, part=(which, 2)), PCA, left_out.append).epoch(0))
        for which in range(2)
    ]
    whole = list(TrainLoader(Damaged(split), OPTIONS, PCA, lambda _: None).epoch(0))
    assert [str(error) for error in left_out] == ["3.png: damaged"]
    for step, batch in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step].indices for part in parts]), batch.indices)


@pytest.mark.parametrize(
    ("batch_size", "part", "expected"),
    [(16, (0, 1), 6), (16, (1, 2), 6), (1 << 20, (0, 1), 1), (1 << 20, (0, 1 << 10), 3)],
)
def test_few_large_batches_are_made_ahead(batch_size, part, expected):
    """Of 2 GiB at most."""
    assert dataclasses.replace(OPTIONS, batch_size=batch_size, part=part, keep_bytes=1 << 22).ahead == expected
