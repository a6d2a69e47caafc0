from io import BytesIO

import pytest
from PIL import Image

from alexnet.data.odd import DAMAGED, ODD, oddities


def test_every_kind_is_told_from_the_header(odd_images) -> None:
    found = {name: oddities(odd.content, str(name)) for name, odd in odd_images.files().items()}
    assert found["ordinary.jpg"] == ()
    assert found["cmyk.jpg"] == found["cmyk-no-adobe.jpg"] == ("cmyk",)
    assert found["grayscale.jpg"] == ("grayscale",)
    assert found["16-bit-grey.png"] == ("grayscale", "16-bit")
    assert found["16-bit-rgb.png"] == ("16-bit",)
    assert found["deep-grey.pgm"] == ("grayscale", "16-bit")
    assert found["32-bit.tiff"] == ("grayscale", "32-bit")
    assert found["float.tiff"] == ("grayscale", "float")
    assert found["palette.png"] == ("palette",)
    assert found["palette-clear.gif"] == ("palette", "transparent")
    assert found["grey-alpha.png"] == ("grayscale", "transparent")
    assert found["rgba.png"] == ("transparent",)
    assert found["exif-turned.jpg"] == ("exif-rotated",)
    assert found["exif-broken.jpg"] == ("broken-exif",)
    assert found["animated.gif"] == ("palette", "animated")
    assert found["moving.webp"] == ("animated",)
    assert found["pages.tiff"] == ("several-pages",)
    assert found["really-a-png.JPEG"] == ("wrong-suffix",)
    assert found["sliver.png"] == ("sliver",)
    assert {kind for kinds in found.values() for kind in kinds} == ODD.keys()


def test_what_is_done_is_said_of_every_kind_once() -> None:
    assert not ODD.keys() & DAMAGED.keys()
    assert all((ODD | DAMAGED).values())


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff"])
def test_what_is_no_image_is_not_odd(content: bytes) -> None:
    assert oddities(content, "a.jpg") == ()


@pytest.mark.parametrize(("highest", "kinds"), [(b"65535", ("16-bit",)), (b"1023", ("16-bit",)), (b"255", ())])
def test_colours_of_more_than_8_bits_are_told_in_a_ppm(highest: bytes, kinds: tuple[str, ...]) -> None:
    assert oddities(b"P6 1 1 " + highest + b"\n" + bytes(6), "a.ppm") == kinds


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".jpe", ".jfif"])
def test_every_suffix_of_a_jpeg_file_is_a_right_one(suffix: str) -> None:
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    assert oddities(file.getvalue(), f"photo{suffix}") == ()
