import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.data import picture as module
from alexnet.data.images import open_image
from alexnet.data.picture import KeptPictures, Picture, open_picture
from alexnet.data.splits import ArraySplit
from alexnet.errors import ImageError
from alexnet.preprocess import Window, draw_window


@pytest.fixture(params=["simplejpeg", "Pillow alone"])
def decoder(request, monkeypatch) -> str:
    """Every claim holds with the extra and without it."""
    if request.param == "simplejpeg":
        pytest.importorskip("simplejpeg")
    else:
        monkeypatch.setattr(module, "_simplejpeg", lambda: None)
    return request.param


def scene(width: int, height: int) -> Image.Image:
    """Smooth colours with some edges, as photographs have; no two corners alike."""
    coarse = np.random.default_rng(3).integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 240, 20), (width // 8, height // 8, width // 3, height // 4))
    return image


def jpeg(image: Image.Image, **options) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


def turned(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def outcome(decode: Callable[[bytes, str], Any], content: bytes, name: str) -> tuple[Any, ...]:
    """(pixels,) or (message, kind)."""
    try:
        return (np.asarray(decode(content, name)),)
    except ImageError as error:
        return str(error), error.kind


def assert_as_pillow(content: bytes, name: str) -> bool:
    """Whether `open_image` and `open_picture`, which must agree, take this for a sound image."""
    expected = outcome(open_image, content, name)
    found = outcome(lambda *source: open_picture(*source).pixels, content, name)
    if len(expected) == 2:
        assert found == expected
    else:
        np.testing.assert_array_equal(found[0], expected[0])
    return len(expected) == 1


SIDEWAYS_BY_XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><a tiff:Orientation="6"/></x:xmpmeta>'

ORDINARY = {
    **{f"subsampling {which}": jpeg(scene(93, 71), subsampling=which) for which in (0, 1, 2)},
    **{f"progressive {which}": jpeg(scene(93, 71), subsampling=which, progressive=True) for which in (0, 1, 2)},
    "grayscale": jpeg(scene(93, 71).convert("L")),
    "restart markers": jpeg(scene(93, 71), restart_marker_rows=1),
    "one pixel": jpeg(scene(1, 1)),
}
UNUSUAL = {
    "CMYK": jpeg(scene(93, 71).convert("CMYK")),
    "stored as RGB": jpeg(scene(93, 71), keep_rgb=True),
    **{f"turned {tag}": jpeg(scene(93, 71), exif=turned(tag)) for tag in range(1, 9)},
    "turned by XMP": jpeg(scene(93, 71), xmp=SIDEWAYS_BY_XMP),
    "turned behind a fill byte": jpeg(scene(93, 71), exif=turned(6)).replace(b"\xff\xe1", b"\xff\xff\xe1", 1),
    "broken EXIF": jpeg(scene(93, 71), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage"),
    "bytes after the end": jpeg(scene(93, 71)) + b"more",
}


@pytest.mark.parametrize("name", [*ORDINARY, *UNUSUAL])
def test_pixels_are_those_of_open_image(name: str, decoder: str) -> None:
    content = {**ORDINARY, **UNUSUAL}[name]
    expected = open_image(content)
    found = open_picture(content, "a.jpg")
    np.testing.assert_array_equal(np.asarray(found.pixels), np.asarray(expected))
    assert (found.size, found.reduction) == (expected.size, 1)


def test_only_ordinary_files_take_the_short_way(monkeypatch) -> None:
    """Else the comparisons above would compare Pillow with itself."""
    pytest.importorskip("simplejpeg")
    taken = {name: isinstance(open_picture(content, name).pixels, np.ndarray) for name, content in ORDINARY.items()}
    assert all(taken.values()), taken
    taken = {name: isinstance(open_picture(content, name).pixels, np.ndarray) for name, content in UNUSUAL.items()}
    assert [name for name, short in taken.items() if short] == ["bytes after the end"]


def test_every_odd_image_is_the_same_picture(odd_images, decoder: str) -> None:
    compared = 0
    for name, file in odd_images.files().items():
        assert_as_pillow(file.content, name)
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", ["subsampling 0", "progressive 2", "grayscale"])
def test_a_file_that_is_cut_anywhere_fails_as_in_pillow(name: str, decoder: str) -> None:
    whole = ORDINARY[name]
    for length in (0, 1, 2, 3, 4, *range(5, len(whole), 97), len(whole) - 2, len(whole) - 1):
        with pytest.raises(ImageError) as expected:
            open_image(whole[:length], "a.jpg")
        with pytest.raises(ImageError) as found:
            open_picture(whole[:length], "a.jpg", least=8)
        assert (str(found.value), found.value.kind) == (str(expected.value), expected.value.kind)


@pytest.mark.parametrize("name", ["subsampling 0", "subsampling 2", "progressive 2"])
def test_bytes_changed_anywhere_give_what_pillow_gives(name: str, decoder: str) -> None:
    rng = np.random.default_rng(0)
    sound = []
    for _ in range(150):
        content = bytearray(ORDINARY[name])
        for place in rng.integers(2, len(content), 3):
            content[place] = rng.integers(0, 256)
        sound.append(assert_as_pillow(bytes(content), "a.jpg"))
    assert 0 < sum(sound) < 150


def test_bombs_are_refused_before_they_are_decoded(monkeypatch, decoder: str) -> None:
    content = jpeg(Image.new("L", (900, 800)))
    for most in (500_000, 200_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(ImageError, match="too many") as refused:
            open_picture(content, "a.jpg", least=8)
        assert refused.value.kind == "too-large"


@pytest.mark.parametrize(
    ("size", "least", "reduction"),
    [
        ((96, 71), 36, 1),
        ((96, 72), 36, 2),
        ((143, 400), 36, 2),
        ((145, 177), 36, 4),
        ((401, 290), 36, 8),
        ((9, 9), 1, 8),
    ],
)
def test_a_large_photograph_is_decoded_at_a_fraction_that_is_large_enough(
    size: tuple[int, int], least: int, reduction: int, decoder: str
) -> None:
    found = open_picture(jpeg(scene(*size)), "a.jpg", least)
    assert (found.size, found.reduction) == (size, reduction)
    width, height = (-(-side // reduction) for side in size)
    assert np.asarray(found.pixels).shape == (height, width, 3)


@pytest.mark.parametrize("size", [(97, 81), (401, 290), (160, 333)])
def test_the_reduced_picture_does_not_depend_on_the_decoder(size: tuple[int, int], monkeypatch) -> None:
    pytest.importorskip("simplejpeg")
    content = jpeg(scene(*size))
    one = open_picture(content, "a.jpg", 36)
    monkeypatch.setattr(module, "_simplejpeg", lambda: None)
    other = open_picture(content, "a.jpg", 36)
    np.testing.assert_array_equal(np.asarray(one.pixels), np.asarray(other.pixels))
    assert one[1:] == other[1:]


@pytest.mark.parametrize("tag", [None, *range(1, 9)])
@pytest.mark.parametrize(("size", "reduction"), [((97, 81), 1), ((290, 401), 1), ((164, 336), 4), ((400, 304), 8)])
def test_drawn_from_a_fraction_it_is_the_same_picture(
    size: tuple[int, int], reduction: int, tag: int | None, decoder: str
) -> None:
    """To under two grey levels on average, with its sharp edges; drawn half a pixel off it would be five and more."""
    content = jpeg(scene(*size), quality=95, **({"exif": turned(tag)} if tag else {}))
    reduced = open_picture(content, "a.jpg", 36)
    assert reduced.reduction >= (reduction if tag else 2)
    assert reduced.size == open_image(content).size
    for window in (None, Window(0, 0, 30, 30), Window(6, 5, 30, 30)):
        exact = draw_window(open_image(content), 36, "bilinear", window).astype(int)
        assert np.abs(draw_window(reduced, 36, "bilinear", window) - exact).mean() < 2.0


def test_other_formats_are_never_reduced(decoder: str) -> None:
    file = BytesIO()
    scene(400, 300).save(file, "PNG")
    assert open_picture(file.getvalue(), "a.png", 36).reduction == 1


def test_real_photographs_are_equal_and_reduced_ones_nearly(test_data, decoder: str) -> None:
    differences = []
    for path in sorted((test_data / "imagenet-samples").glob("*/*"))[:12]:
        content = path.read_bytes()
        exact = open_image(content)
        np.testing.assert_array_equal(np.asarray(open_picture(content, path.name).pixels), np.asarray(exact))
        reduced = open_picture(content, path.name, 128)
        if reduced.reduction > 1:
            drawn = (draw_window(source, 128, "bilinear").astype(int) for source in (reduced, exact))
            differences.append(np.abs(np.subtract(*drawn)).mean())
    assert len(differences) > 6
    assert np.mean(differences) < 1.5


def test_kept_pictures_equal_the_decoded_ones(picture: Callable[..., Image.Image]) -> None:
    images = np.stack([np.asarray(picture(seed=seed)) for seed in range(3)])
    kept = KeptPictures(ArraySplit(images, np.zeros(3, np.int64), ("a", "b", "c")), 1 << 30)
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(kept[1].pixels), images[1])
    assert kept[1] is kept[1]


def test_files_are_kept_as_they_are_drawn_from(decoder: str) -> None:
    """Memory is counted by what is kept, not by what the file would have been."""

    class Files:
        labels, paths = np.zeros(2, np.int64), ("a.jpg", "b.jpg")

        def __len__(self) -> int:
            return 2

        def encoded(self, index: int) -> bytes:
            return jpeg(scene(160, 80))

    reduced = 2 * 80 * 40 * (3 if decoder == "simplejpeg" else 4)
    for keep_bytes, is_kept in ((reduced, True), (reduced - 1, False)):
        pictures = KeptPictures(Files(), keep_bytes, least=40)
        assert (pictures[0] is pictures[0]) == is_kept


def test_a_picture_as_an_array_draws_as_pillows_does() -> None:
    image = scene(75, 64)
    array = Picture(np.asarray(image), image.size)
    for resize, window in ((64, None), (64, Window(3, 5, 40, 50)), (32, Window(1, 2, 20, 20)), ((20, 30), None)):
        expected = draw_window(image, resize, "bilinear", window)
        np.testing.assert_array_equal(draw_window(array, resize, "bilinear", window), expected)


def test_without_the_extra_nothing_is_missing(monkeypatch) -> None:
    module._simplejpeg.cache_clear()
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    try:
        assert isinstance(open_picture(ORDINARY["subsampling 0"], "a.jpg").pixels, Image.Image)
    finally:
        module._simplejpeg.cache_clear()
