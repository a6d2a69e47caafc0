"""An image file becomes pixels to cut a training crop from, as quickly as that can be done.

In two ways this is quicker than `open_image`, which evaluation and preparation stay with:

- an ordinary JPEG file is decoded by simplejpeg where that is installed: the same library as Pillow's, the same pixels,
  less around it. Whatever is unusual or damaged goes to Pillow, and so fails or comes out as there;
- a JPEG file far larger than what is drawn from it is decoded at a half, a quarter or an eighth of its size, which
  leaves out most of the work.
"""

from contextlib import suppress
from functools import cache
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.images import SIDEWAYS, finish, identify, is_too_large, turn_of
from alexnet.data.splits import EncodedSplit, Split
from alexnet.errors import ImageError

_BYTES_PER_PIXEL = 4  # Pillow stores RGB as RGBX

# libjpeg has quick transforms for these alone; at other eighths it takes longer than for the whole picture.
_REDUCTIONS = (8, 4, 2)

_START, _SCAN, _APP1, _FILL = b"\xff\xd8", b"\xda", b"\xe1", b"\xff"  # markers of ITU-T T.81, table B.1 and B.1.1.2
_DECODED_ALIKE = ("YCbCr", "Gray")  # colours of a file that every reader takes for the same


class Picture(NamedTuple):
    """A picture in RGB: Pillow's, or uint8 (height, width, 3). Shared, not to be changed.

    `size`: (width, height) of the whole one, of which `pixels` hold every `reduction`-th in both directions.
    """

    pixels: Image.Image | NDArray[np.uint8]
    size: tuple[int, int]
    reduction: int = 1

    @property
    def num_bytes(self) -> int:
        """The memory that it takes."""
        if isinstance(self.pixels, Image.Image):
            return self.pixels.width * self.pixels.height * _BYTES_PER_PIXEL
        return self.pixels.nbytes


def open_picture(content: bytes, name: str, least: int | None = None) -> Picture:
    """The picture in a file; pixels as those of `open_image`.

    With `least` a JPEG file may be decoded at a half, a quarter or an eighth of its size, as long as its shorter side
    keeps so many pixels. What is then drawn differs from the exact by 1 grey level on average, less than saving it as
    JPEG of quality 95 would change it (0.8 and 1.0 at a canvas of 256, 1.1 and 1.6 at 128).

    Raises:
        ImageError: as `open_image`.
    """
    return _decode_ordinary(content, least) or _decode_any(content, name, least)


def _decode_ordinary(content: bytes, least: int | None) -> Picture | None:
    """An upright JPEG file without a fault; None of anything else."""
    simplejpeg = _simplejpeg()
    if simplejpeg is None or not _is_plain_jpeg(content):
        return None
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
        if colors not in _DECODED_ALIKE or is_too_large((width, height)):
            return None
        reduction = _reduction((width, height), least)
        pixels = simplejpeg.decode_jpeg(
            content, min_height=-(-height // reduction), min_width=-(-width // reduction), min_factor=reduction
        )
    except ValueError:  # damaged; or sound for Pillow, which is less strict
        return None
    return Picture(pixels, (width, height), reduction)


def _decode_any(content: bytes, name: str, least: int | None) -> Picture:
    image = identify(BytesIO(content), name)
    width, height = size = image.size
    turn = turn_of(image)
    # The last column and row of a fraction may stand for less than the others: turned, they would come first.
    reduction = 1 if is_too_large(size) else _reduction(size, least, even=turn is not None)
    if reduction > 1 and image.draft(image.mode, (width // reduction, height // reduction)) is None:
        reduction = 1  # no JPEG
    return Picture(finish(image, name), size[::-1] if turn in SIDEWAYS else size, reduction)


def _reduction(size: tuple[int, int], least: int | None, even: bool = False) -> int:
    """The largest that leaves `least` pixels; `even`, and that both sides are multiples of."""
    for factor in _REDUCTIONS:
        if least and min(size) >= factor * least and not (even and any(side % factor for side in size)):
            return factor
    return 1


@cache
def _simplejpeg() -> ModuleType | None:
    with suppress(ImportError):
        return import_module("simplejpeg")
    return None


def _is_plain_jpeg(content: bytes) -> bool:
    """Whether it is a JPEG file without EXIF and XMP, either of which may say that the picture lies on its side."""
    at = len(_START) if content.startswith(_START) else len(content)
    while content[at : at + 1] == b"\xff":
        marker = content[at + 1 : at + 2]
        if marker in (_SCAN, _APP1, _FILL):
            return marker == _SCAN
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return False


class KeptPictures:
    """The pictures of a split, each decoded once and kept in memory where all of them fit.

    A picture is kept if a whole split of its size would stay within `keep_bytes`: small images are (decoding is half of
    their cost, and that half holds Python's lock), photographs are not. `least`: see `open_picture`.
    """

    def __init__(self, split: Split, keep_bytes: int, least: int | None = None) -> None:
        self._split, self._keep_bytes, self._least = split, keep_bytes, least
        self._encoded = split.encoded if isinstance(split, EncodedSplit) else None
        self._kept: dict[int, Picture] = {}

    def __getitem__(self, index: int) -> Picture:
        """The picture of one image. Raises as the split itself does."""
        if index in self._kept:
            return self._kept[index]
        picture = self._open(index)
        if len(self._split) * picture.num_bytes <= self._keep_bytes:
            # A copy, without the decoder that an opened one holds on to.
            picture = self._kept[index] = picture._replace(pixels=picture.pixels.copy())
        return picture

    def _open(self, index: int) -> Picture:
        if self._encoded is None:
            image = self._split.image(index)
            return Picture(image, image.size)
        content = self._encoded(index)
        try:
            return _decode_ordinary(content, self._least) or _decode_any(content, "", self._least)
        except ImageError:
            image = self._split.image(index)  # damaged: the split itself says so, by the name that it has there
            return Picture(image, image.size)
