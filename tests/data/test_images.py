from io import BytesIO

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from alexnet.data import images
from alexnet.data.images import FORMATS, open_image, read_file
from alexnet.errors import ImageError

RED = (200, 30, 40)


def saved(image: Image.Image, suffix: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def palette_with_hole() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 0)
    return image


WHITE_CORNER = {(0, 0): (255, 255, 255), (2, 2): RED}

# name: bytes, and some pixels as (x, y): RGB
ODD_BUT_SOUND = {
    "grey": (saved(Image.new("L", (4, 4), 90), "png"), {(1, 1): (90, 90, 90)}),
    "one bit": (saved(Image.new("1", (4, 4), 1), "png"), {(1, 1): (255, 255, 255)}),
    "16 bit grey is scaled, not clipped": (
        saved(Image.fromarray(np.full((4, 4), 0x8080, np.uint16)), "png"),
        {(1, 1): (128, 128, 128)},
    ),
    "32 bit float is stretched": (
        saved(Image.fromarray(np.array([[0.0, 0.5], [1.0, 1.0]], np.float32)), "tiff"),
        {(0, 0): (0, 0, 0), (1, 0): (128, 128, 128), (0, 1): (255, 255, 255)},
    ),
    "32 bit integers are stretched": (
        saved(Image.fromarray(np.array([[-100_000, 0], [100_000, 100_000]], np.int32)), "tiff"),
        {(0, 0): (0, 0, 0), (1, 0): (128, 128, 128), (0, 1): (255, 255, 255)},
    ),
    "what is not finite stretches nothing": (
        saved(Image.fromarray(np.array([[0.0, 0.5, 1.0], [np.inf, -np.inf, np.nan]], np.float32)), "tiff"),
        {
            (1, 0): (128, 128, 128),
            (2, 0): (255, 255, 255),
            (0, 1): (255, 255, 255),
            (1, 1): (0, 0, 0),
            (2, 1): (0, 0, 0),
        },
    ),
    "16 bit PPM is scaled": (b"P5 1 2 65535\n\x80\x80\x40\x40", {(0, 0): (128, 128, 128), (0, 1): (64, 64, 64)}),
    "CMYK": (saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "tiff"), {(1, 1): (255, 0, 0)}),
    "palette": (saved(Image.new("RGB", (4, 4), RED).quantize(2), "png"), {(1, 1): RED}),
    "palette with a transparent colour": (saved(palette_with_hole(), "png", transparency=0), WHITE_CORNER),
    "palette with transparency in bytes": (saved(palette_with_hole(), "png", transparency=b"\0\xff"), WHITE_CORNER),
    "alpha lies on white": (saved(Image.new("RGBA", (4, 4), (*RED, 0)), "png"), {(1, 1): (255, 255, 255)}),
    "grey with half alpha": (saved(Image.new("LA", (4, 4), (0, 128)), "png"), {(1, 1): (127, 127, 127)}),
    "first frame of an animation": (
        saved(Image.new("RGB", (4, 4), "red"), "gif", save_all=True, append_images=[Image.new("RGB", (4, 4), "blue")]),
        {(1, 1): (255, 0, 0)},
    ),
}


@pytest.mark.parametrize("name", ODD_BUT_SOUND)
def test_odd_modes_become_rgb(name):
    content, pixels = ODD_BUT_SOUND[name]
    image = open_image(content)
    assert image.mode == "RGB"
    assert {place: image.getpixel(place) for place in pixels} == pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation, picture):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(picture(), "png", exif=exif)
    image = open_image(content)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    np.testing.assert_array_equal(np.asarray(open_image(image)), np.asarray(image))


def test_a_broken_exif_block_does_not_spoil_the_picture(picture):
    content = saved(picture(), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert open_image(content).size == (28, 20)


DAMAGED = {
    "no bytes": (b"", "empty file"),
    "a text file": (b"this is no image, whatever its name says\n", "not an image"),
    "a cut jpeg": (saved(Image.effect_noise((64, 64), 90), "jpeg")[:-900], "damaged or truncated"),
    "a cut png": (saved(Image.effect_noise((64, 64), 90), "png")[:-900], "damaged or truncated"),
    "a cut webp": (saved(Image.effect_noise((64, 64), 90).convert("RGB"), "webp")[:-900], "image"),
    "a header alone": (saved(Image.new("RGB", (8, 8)), "jpeg")[:30], "image"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_bytes_are_one_line_with_their_name(name):
    content, reason = DAMAGED[name]
    with pytest.raises(ImageError, match=rf"^dog\.jpg: .*{reason}") as caught:
        open_image(content, name="dog.jpg")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", [4000, 9000])
def test_decompression_bombs_are_refused_before_they_are_decoded(side, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000_000)
    with pytest.raises(ImageError, match="too many"):
        open_image(saved(Image.new("1", (side, side)), "png"))


def test_paths_streams_and_pictures_are_sources_alike(tmp_path, picture):
    path = tmp_path / "a.png"
    picture().save(path)
    expected = np.asarray(picture())
    for source in (path, str(path), path.read_bytes(), BytesIO(path.read_bytes()), picture()):
        np.testing.assert_array_equal(np.asarray(open_image(source)), expected)


def test_missing_files_and_folders_say_so(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such file"):
        open_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="a folder, not an image"):
        open_image(tmp_path)


def test_inks_are_the_right_way_round_with_and_without_adobes_marker(odd_images) -> None:
    for name in ("cmyk.jpg", "cmyk-no-adobe.jpg"):
        found = np.asarray(open_image(odd_images.files()[name].content)).astype(int)
        assert np.abs(found - odd_images.twin()).max() <= 3


def test_a_transparent_level_of_16_bit_grey_is_white_and_no_other() -> None:
    levels = np.array([[0, 1, 257], [0x8080, 0xFFFF, 514]], np.uint16)
    found = open_image(saved(Image.fromarray(levels), "png", transparency=257))
    np.testing.assert_array_equal(np.asarray(found)[..., 0], [[0, 0, 255], [128, 255, 2]])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"no image", "not-an-image"),
        (saved(Image.effect_noise((99, 99), 50), "jpeg")[:-500], "truncated"),
    ],
)
def test_the_reason_has_a_word_to_count_by(content: bytes, kind: str) -> None:
    with pytest.raises(ImageError) as refused:
        open_image(content)
    assert refused.value.kind == kind


def test_no_number_at_all_is_damage() -> None:
    with pytest.raises(ImageError, match="none of its values is a finite number"):
        open_image(saved(Image.new("F", (2, 2), float("nan")), "tiff"))


@pytest.mark.parametrize("name", ["evil.jpg", "evil.eps"])
def test_no_image_runs_a_program(name: str, monkeypatch, tmp_path) -> None:
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(1))
    (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="not an image") as refused:
        open_image(tmp_path / name)
    assert refused.value.kind == "not-an-image"
    assert not started


def test_what_is_not_listed_is_not_decoded() -> None:
    others = Image.SAVE.keys() & Image.OPEN.keys() - {*FORMATS, "DIB"}
    assert {"EPS", "ICO"} <= others  # EPS asks a program
    for name in ("ICO", "PCX", "TGA", "SGI"):
        with pytest.raises(ImageError, match="not an image"):
            open_image(saved(Image.new("RGB", (16, 16)), name))


def test_files_are_read_whole_or_refused_by_name(tmp_path, encoded, monkeypatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    assert read_file(path) == encoded()
    for wrong, reason in ((tmp_path / "nowhere.jpg", "no such file"), (tmp_path, "a folder, not an image")):
        with pytest.raises(ImageError, match=f"{wrong}: {reason}"):
            read_file(wrong)
    monkeypatch.setattr(images, "MOST_BYTES", 10)
    with pytest.raises(ImageError, match="bytes are too many") as refused:
        read_file(path, "my picture")
    assert refused.value.kind == "too-large"
