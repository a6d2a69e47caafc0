import numpy as np
import pytest
from PIL import Image

from alexnet.data import statistics as statistics_module
from alexnet.data.datasets import open_data
from alexnet.data.splits import ArraySplit, DataSet, Split, unnamed_classes
from alexnet.data.statistics import Statistics, cached_statistics, fit
from alexnet.errors import DataError, ImageError
from alexnet.preprocess import resize_image


def random_split(count=300, size=9, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal([120, 110, 90], [60, 20, 35], (count, size, size, 3)) + rng.normal(0, 30, (count, 1, 1, 1))
    labels = np.zeros(count, np.int64)
    return ArraySplit(np.clip(images, 0, 255).astype(np.uint8), labels, tuple(map(str, range(count))))


def two_passes(split, resize, interpolation):
    images = np.stack([resize_image(split.image(i), resize, interpolation) for i in range(len(split))]).astype(float)
    pixels = images.transpose(0, 2, 3, 1).reshape(-1, 3)
    return images.mean(axis=0), pixels.mean(axis=0), np.cov(pixels.T, bias=True)


def check_against_two_passes(split, resize, interpolation, **options):
    found = fit(split, resize, interpolation, **options)
    mean_image, mean_color, covariance = two_passes(split, resize, interpolation)
    np.testing.assert_allclose(found.mean_image, mean_image, rtol=1e-6)
    np.testing.assert_allclose(found.mean_color, mean_color, rtol=1e-6)
    rebuilt = found.pca_eigenvectors @ np.diag(found.pca_stdevs**2) @ found.pca_eigenvectors.T
    np.testing.assert_allclose(rebuilt, covariance, rtol=1e-4, atol=1e-2)
    assert (np.diff(found.pca_stdevs) >= 0).all()
    assert found.num_images == len(split)


@pytest.mark.parametrize("resize", [9, 5, (6, 11)])
def test_one_pass_matches_two(resize):
    check_against_two_passes(random_split(), resize, "bilinear")


def test_one_pass_matches_two_on_photographs(test_data):
    check_against_two_passes(open_data(test_data / "imagenet-samples").split("train"), 48, "bilinear")


def test_white_images_do_not_overflow_their_sums():
    white = ArraySplit(np.full((600, 4, 4, 3), 255, np.uint8), np.zeros(600, np.int64), ("",) * 600)
    found = fit(white, 4, "bilinear")
    np.testing.assert_array_equal(found.mean_image, np.full((3, 4, 4), 255, np.float32))
    np.testing.assert_array_equal(found.pca_stdevs, np.zeros(3, np.float32))


def test_workers_do_not_change_the_result_and_progress_ends_at_the_total():
    split, calls = random_split(700), []
    one = fit(split, 9, "bilinear", 1, lambda *call: calls.append(call))
    three = fit(split, 9, "bilinear", 3)
    np.testing.assert_array_equal(one.mean_image, three.mean_image)
    np.testing.assert_array_equal(one.pca_eigenvectors, three.pca_eigenvectors)
    assert calls == [(256, 700), (512, 700), (700, 700)]


def test_statistics_survive_a_file(tmp_path):
    found = fit(random_split(), 9, "bilinear")
    found.save(tmp_path / "statistics.npz")
    loaded = Statistics.load(tmp_path / "statistics.npz")
    for name in Statistics.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
    assert [path.name for path in tmp_path.iterdir()] == ["statistics.npz"]
    with pytest.raises(DataError, match="not a statistics file"):
        Statistics.load(tmp_path / "missing.npz")


def test_the_second_time_nothing_is_computed_until_content_or_settings_change(class_folders, picture, monkeypatch):
    root = class_folders({"a": 3, "b": 3})
    first = cached_statistics(open_data(root), "train", 16, "bilinear")
    fits = []
    monkeypatch.setattr(statistics_module, "fit", lambda *args: fits.append(args) or first)
    again = cached_statistics(open_data(root), "train", 16, "bilinear")
    np.testing.assert_array_equal(again.mean_image, first.mean_image)
    assert fits == []
    cached_statistics(open_data(root), "train", 16, "bicubic")
    picture(seed=99).save(root / "a" / "new.png")
    cached_statistics(open_data(root), "train", 16, "bilinear")
    assert len(fits) == 2


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="no images"):
        fit(random_split(0), 9, "bilinear")


def test_the_order_of_the_images_changes_no_bit():
    split = random_split(700)
    backwards = ArraySplit(split.images[::-1], split.labels, split.paths)
    for name in Statistics.__dataclass_fields__:
        np.testing.assert_array_equal(
            getattr(fit(split, 9, "bilinear"), name), getattr(fit(backwards, 9, "bilinear"), name)
        )


class Partly:
    """A split of which one image can be read only after it was repaired."""

    def __init__(self, split: Split) -> None:
        self._split, self.labels, self.paths, self.damaged = split, split.labels, split.paths, True

    def __len__(self) -> int:
        return len(self._split)

    def image(self, index: int) -> Image.Image:
        if self.damaged and index == 1:
            raise ImageError("one: damaged")
        return self._split.image(index)


def test_statistics_without_a_damaged_image_are_not_kept_for_when_it_is_repaired() -> None:
    images = np.random.default_rng(3).integers(0, 256, (5, 8, 8, 3), np.uint8)
    split = Partly(ArraySplit(images, np.zeros(5, np.int64), [str(i) for i in range(5)]))
    dataset = DataSet("partly", unnamed_classes(2), {"train": split}, fingerprint="partly")
    seen: list[ImageError] = []
    first = cached_statistics(dataset, "train", 8, "bilinear", on_damaged=seen.append)
    assert (first.num_images, len(seen)) == (4, 1)
    np.testing.assert_allclose(first.mean_image, images[[0, 2, 3, 4]].mean(axis=0).transpose(2, 0, 1), rtol=1e-6)
    split.damaged = False
    assert cached_statistics(dataset, "train", 8, "bilinear").num_images == 5


def test_kept_statistics_end_the_bar_at_once() -> None:
    images = np.random.default_rng(4).integers(0, 256, (5, 8, 8, 3), np.uint8)
    split = ArraySplit(images, np.zeros(5, np.int64), [str(i) for i in range(5)])
    dataset = DataSet("kept", unnamed_classes(2), {"train": split}, fingerprint="kept")
    for _ in range(2):
        told: list[tuple[int, int]] = []
        cached_statistics(dataset, "train", 8, "bilinear", progress=lambda *done, told=told: told.append(done))
        assert told == [(5, 5)]
