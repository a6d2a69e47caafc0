import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import InputError
from alexnet.preprocess import (
    FILTERS,
    Preprocessing,
    Window,
    crop_offsets,
    draw_canvas,
    draw_window,
    extract_views,
    normalize,
    open_image,
    resize_image,
)


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8))


def resize_then_cut(image: Image.Image, size: int, interpolation: str) -> np.ndarray:
    """What torchvision's Resize and CenterCrop do, in two steps."""
    width, height = image.size
    shorter = min(width, height)
    whole = image.resize((size * width // shorter, size * height // shorter), FILTERS[interpolation])
    top, left = round((whole.height - size) / 2), round((whole.width - size) / 2)
    return np.asarray(whole)[top : top + size, left : left + size].transpose(2, 0, 1)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (75, 100), (100, 75), (37, 211), (8, 8), (32, 1)])
def test_the_canvas_equals_resizing_the_whole_and_cutting_its_center(height, width, interpolation):
    image = noise(height, width)
    canvas = resize_image(image, 32, interpolation)
    assert canvas.shape == (3, 32, 32)
    assert canvas.dtype == np.uint8
    difference = np.abs(canvas.astype(int) - resize_then_cut(image, 32, interpolation))
    assert np.quantile(difference, 0.999) <= 1 if interpolation != "nearest" else (difference > 0).mean() < 0.05


def test_a_tuple_warps_whatever_the_aspect():
    image = noise(40, 90)
    expected = np.asarray(image.resize((20, 30), FILTERS["bicubic"])).transpose(2, 0, 1)
    np.testing.assert_array_equal(resize_image(image, (30, 20), "bicubic"), expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (75, 100), (333, 500), (48, 48)])
def test_a_window_equals_a_cut_from_the_canvas_to_rounding(height, width, interpolation):
    image = noise(height, width)
    canvas = resize_image(image, 48, interpolation).astype(int)
    for top, left in [(0, 0), (3, 8), (8, 5), (8, 8)]:
        window = draw_window(image, 48, interpolation, Window(top, left, 40, 40)).transpose(2, 0, 1)
        difference = np.abs(window - canvas[:, top : top + 40, left : left + 40])
        assert difference.max() <= 2
        assert difference.mean() < 0.2  # noise is the worst case; photographs stay below 0.001


@pytest.mark.parametrize("interpolation", FILTERS)
def test_a_window_is_exact_where_sizes_are_powers_of_two(interpolation):
    canvas = resize_image(noise(64, 64), 256, interpolation)
    window = draw_window(noise(64, 64), 256, interpolation, Window(5, 3, 224, 224)).transpose(2, 0, 1)
    np.testing.assert_array_equal(window, canvas[:, 5:229, 3:227])


def test_a_picture_of_the_right_size_is_not_resampled():
    image = noise(32, 32)
    for interpolation in FILTERS:
        np.testing.assert_array_equal(resize_image(image, 32, interpolation).transpose(1, 2, 0), np.asarray(image))


def test_ten_views_are_the_published_offsets_then_their_mirrors():
    five = [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]
    expected = [(y, x, flip) for flip in (False, True) for y, x in five]
    assert [tuple(view) for view in crop_offsets((256, 256), 224, "ten")] == expected
    assert crop_offsets((256, 256), 224, "center") == [(16, 16, False)]


def test_extracted_views_are_cuts_and_mirrored_cuts():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 11), np.uint8)
    views = extract_views(images, 5, "ten")
    assert views.shape == (10, 2, 3, 5, 5)
    np.testing.assert_array_equal(views[1], images[..., 0:5, 6:11])
    np.testing.assert_array_equal(views[2], images[..., 2:7, 3:8])
    np.testing.assert_array_equal(views[5:], views[:5, ..., ::-1])


def test_normalize_matches_the_formula_of_torchvision():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), np.uint8)
    pixels = normalize(images, Preprocessing(resize=6, crop=4, scale=1 / 255, mean=mean, std=std))
    expected = (images / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_the_mean_image_is_cropped_centrally_and_bgr_reverses_the_channels():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), np.uint8)
    mean_image = np.random.default_rng(1).uniform(0, 255, (3, 6, 8)).astype(np.float32)
    settings = Preprocessing(resize=(6, 8), crop=4, channel_order="BGR", mean_image=mean_image)
    expected = images[:, ::-1].astype(np.float32) - mean_image[:, 1:5, 2:6]
    np.testing.assert_array_equal(normalize(images, settings), expected)


@pytest.mark.parametrize("resize", [256, (227, 300)])
def test_preprocessing_survives_json(resize):
    settings = Preprocessing(resize=resize, crop=227, channel_order="BGR", mean=(104.0, 117.0, 123.0))
    values = json.loads(json.dumps(settings.to_json()))
    assert Preprocessing.from_json(values) == settings
    assert set(values) == {"resize", "interpolation", "crop", "channel_order", "scale", "mean", "std"}


@pytest.mark.parametrize("later", [{"reduce_to": 64}, {"mean_crop": "view"}])
def test_what_first_files_say_nothing_of_survives_json_too(later):
    settings = Preprocessing(**later)
    assert later.items() <= settings.to_json().items()
    assert Preprocessing.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_sharper_picture_than_was_learned_from_is_reduced_first_and_no_other():
    """By areas: a picture whose pixels were only repeated comes back as it was."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8))
    sharp = small.resize((120, 80), Image.Resampling.NEAREST)
    plain = Preprocessing(resize=32, crop=28)
    reduced = dataclasses.replace(plain, reduce_to=8)
    expected = draw_canvas(small, plain)
    np.testing.assert_array_equal(draw_canvas(sharp, reduced), expected)
    np.testing.assert_array_equal(draw_canvas(small, reduced), expected)
    assert (draw_canvas(sharp, plain) != expected).any()


def test_a_mean_image_that_is_meant_must_be_there():
    """Its pixels travel beside the JSON; without them weights would silently be given other images."""
    mean_image = np.full((3, 256, 256), 120, np.float32)
    values = json.loads(json.dumps(Preprocessing(mean_image=mean_image).to_json()))
    assert values["mean"] == "image"
    assert Preprocessing.from_json(values, mean_image).mean_image is mean_image
    with pytest.raises(InputError, match="the mean image is missing"):
        Preprocessing.from_json(values)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 257},
        {"crop": 0},
        {"interpolation": "area"},
        {"channel_order": "GBR"},
        {"std": (1.0, 0.0, 1.0)},
        {"mean_crop": "corner"},
        {"reduce_to": 0},
        {"reduce_to": 64.5},
        {"mean_image": np.zeros((3, 224, 224), np.float32)},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(wrong):
    with pytest.raises(InputError):
        dataclasses.replace(Preprocessing(), **wrong)


def test_unknown_keys_are_an_error():
    with pytest.raises(InputError, match="unknown preprocessing centre_crop"):
        Preprocessing.from_json({"centre_crop": 224})


def test_unknown_views_are_an_error():
    with pytest.raises(InputError, match="center or ten"):
        crop_offsets((256, 256), 224, "five")


@pytest.mark.parametrize(
    "settings",
    [{"mean": (np.nan, 0.0, 0.0)}, {"scale": np.inf}, {"mean_image": np.full((3, 256, 256), np.nan, np.float32)}],
)
def test_numbers_that_are_none_are_refused(settings):
    with pytest.raises(InputError, match="number"):
        Preprocessing(**settings)


def test_a_mean_image_shows() -> None:
    shown = repr(Preprocessing(resize=4, crop=2, mean_image=np.ones((3, 4, 4), np.float32)))
    assert shown.startswith("Preprocessing(resize=4, ")
    assert "mean='the mean image'" in shown
    assert "mean=(1.0, 2.0, 3.0)" in repr(Preprocessing(mean=(1.0, 2.0, 3.0)))


@pytest.fixture
def photographs(test_data: Path) -> list[Path]:
    """Two dozen real ones, of many sizes, landscapes and portraits."""
    found = sorted((test_data / "imagenet-samples").rglob("*.JPEG"))[::4]
    if not found:
        pytest.skip("no photographs")
    return found


def test_of_photographs_torchvisions_crop_is_reproduced_to_one_grey_level(photographs: list[Path]) -> None:
    """By its two ways: Pillow's resize of the whole, and torch's antialiased one, of floats or of uint8."""
    torch = pytest.importorskip("torch")
    crop = Preprocessing(resize=256, interpolation="bilinear", crop=224)
    sizes = set()
    for path in photographs:
        image = open_image(str(path))
        width, height = image.size
        shorter = min(width, height)
        size = (256 * height // shorter, 256 * width // shorter)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
        options = {"mode": "bilinear", "antialias": True, "align_corners": False}
        floats = torch.nn.functional.interpolate(pixels.float(), size, **options).round().clamp(0, 255)
        whole = torch.nn.functional.interpolate(pixels, size, **options)
        drawn = np.asarray(image.resize(size[::-1], FILTERS["bilinear"])).transpose(2, 0, 1)
        top, left = (round((side - 224) / 2) for side in size)
        found = extract_views(draw_canvas(image, crop).transpose(2, 0, 1), 224, "center")[0].astype(int)
        for expected in (drawn, floats[0].numpy(), whole[0].numpy()):
            assert np.abs(found - expected[:, top : top + 224, left : left + 224]).max() <= 1, path.name
        sizes.add(width > height)
    assert sizes == {False, True}
