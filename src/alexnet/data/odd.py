"""What is unusual about an image file, in words to count by; `open_image` makes an ordinary picture of each."""

import os
from collections.abc import Iterator, Mapping
from io import BytesIO

from PIL import Image

from alexnet.data.images import FORMATS, UPRIGHT, number_kind, open_header, orientation

# Kind to what is done about it, in the order of reports.
ODD: Mapping[str, str] = {
    "wrong-suffix": "read by its content",
    "grayscale": "the same in all three channels",
    "cmyk": "converted to RGB",
    "16-bit": "scaled to 8 bits",
    "32-bit": "its lowest value black, its highest white",
    "float": "its lowest value black, its highest white",
    "palette": "its colours looked up",
    "transparent": "laid on white",
    "animated": "its first frame",
    "several-pages": "its first page",
    "exif-rotated": "turned upright",
    "broken-exif": "kept as it lies",
    "sliver": "its central square, enlarged",
}
DAMAGED: Mapping[str, str] = {
    "empty": "left out",
    "truncated": "left out",
    "damaged": "left out",
    "not-an-image": "left out",
    "too-large": "left out",
    "unreadable": "left out",
}

SLIVER = 20  # ours: so many times longer than wide; the central square is then 5 % of the picture at most

_SUFFIXES = {**FORMATS, "MPO": FORMATS["JPEG"]}  # of many cameras: a JPEG file with a second picture after it
_MOVING = ("GIF", "WEBP", "PNG")


def oddities(content: bytes, name: str) -> tuple[str, ...]:
    """Kinds of `ODD` that a file is, from its header alone; none of one that cannot be opened."""
    try:
        with open_header(BytesIO(content)) as image:
            return tuple(_kinds(image, os.path.splitext(name)[1].lower()))  # noqa: PTH122 (no file system is meant)
    except Exception:  # what is wrong with it is said by who decodes it
        return ()


def _kinds(image: Image.Image, suffix: str) -> Iterator[str]:
    if suffix not in _SUFFIXES.get(image.format or "", ()):
        yield "wrong-suffix"
    number = number_kind(image)
    if number or image.mode in ("1", "L", "LA", "La"):
        yield "grayscale"
    if image.mode == "CMYK":
        yield "cmyk"
    if number:
        yield number
    elif any(_is_deep(tile[3]) for tile in getattr(image, "tile", ())):
        yield "16-bit"
    if image.mode in ("P", "PA"):
        yield "palette"
    if image.has_transparency_data:
        yield "transparent"
    if getattr(image, "is_animated", False) and image.format in _MOVING:
        yield "animated"
    if getattr(image, "is_animated", False) and image.format == "TIFF":
        yield "several-pages"
    if _has_broken_exif(image):
        yield "broken-exif"
    elif orientation(image) in UPRIGHT:
        yield "exif-rotated"
    if max(image.size) > SLIVER * min(image.size):
        yield "sliver"


def _is_deep(decoding: object) -> bool:
    """Whether what Pillow tells a decoder, such as `RGB;16B` or a PPM's (`RGB`, 65535), is of 16 bits a channel."""
    raw_mode, *rest = decoding if isinstance(decoding, tuple) else (decoding,)
    return "16" in str(raw_mode) or any(isinstance(highest, int) and highest > 255 for highest in rest[:1])


def _has_broken_exif(image: Image.Image) -> bool:
    try:
        return "exif" in image.info and not (image.getexif() and orientation(image))
    except Exception:  # the bytes of a broken block choose the exception
        return True
