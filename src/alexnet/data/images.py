"""Any image file becomes an upright RGB picture, or one line that says why not."""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, UnidentifiedImageError

from alexnet.errors import ImageError

# All that is ever decoded, whatever a file is called: some of Pillow's other formats run programs (EPS: Ghostscript).
FORMATS: Mapping[str, tuple[str, ...]] = {  # to the suffixes of their files
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (),
}
SUFFIXES = frozenset(chain.from_iterable(FORMATS.values()))

MOST_BYTES = 1 << 29  # ours: of one file; a picture of Pillow's most pixels, uncompressed, has as many

_PILLOW_MODULES = re.compile(r"PIL\.")

_16_BIT_IN_32 = ("PNG", "PPM")  # their levels end at 65535, in whatever mode Pillow opens them

_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4
UPRIGHT: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset(UPRIGHT[tag] for tag in (5, 6, 7, 8))  # what turns width into height


def open_image(source: str | Path | bytes | BinaryIO | Image.Image, name: str | None = None) -> Image.Image:
    """The picture in mode RGB, decoded whole: turned upright by its EXIF tag, transparency laid on white, the first
    frame of an animation. 16-bit grey is scaled to 8 bits; of deeper and of floating-point grey, which have no agreed
    range, its own lowest value becomes black and its highest white.

    `name` is what error messages call it; a path has its own.

    Raises:
        ImageError: missing, empty, truncated, not an image, or of more pixels than Pillow's limit against bombs.
        TypeError: `source` is something else.
    """
    match source:
        case Image.Image():
            return finish(source, name or "image")
        case bytes():
            return _decode(BytesIO(source), name or "image")
        case str() | Path():
            return _open_path(Path(source), name or str(source))
        case _ if hasattr(source, "read"):
            return _decode(BytesIO(source.read()), name or str(getattr(source, "name", "image")))
        case _:
            kind = type(source).__name__
            raise TypeError(
                f"an image is a path, bytes, an open file or a PIL image, not {kind}: several go to predict_batch, "
                "an array through PIL.Image.fromarray"
            )


def read_file(path: Path, name: str | None = None) -> bytes:
    """The bytes of one image file. Raises `ImageError` as `open_image`, and for more than `MOST_BYTES`."""
    name = name or str(path)
    with _opened(path, name) as file:
        if (size := os.fstat(file.fileno()).st_size) > MOST_BYTES:
            raise ImageError(f"{name}: {size:,} bytes are too many; at most {MOST_BYTES:,} are read", "too-large")
        return file.read()


def open_header(file: BinaryIO) -> Image.Image:
    """An image of one of `FORMATS`, its pixels not decoded yet. Raises whatever the bytes of a damaged file choose."""
    _hush_pillow()
    return Image.open(file, formats=_readable_formats())


@cache
def _readable_formats() -> tuple[str, ...]:
    """Those that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _open_path(path: Path, name: str) -> Image.Image:
    with _opened(path, name) as file:
        return _decode(file, name)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file", "unreadable") from None
    except IsADirectoryError:
        told = "a folder, not an image; give files, or a folder that has some"
        raise ImageError(f"{name}: {told}", "unreadable") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror or error})", "unreadable") from None


def _decode(file: BinaryIO, name: str) -> Image.Image:
    return finish(identify(file, name), name)


def identify(file: BinaryIO, name: str) -> Image.Image:
    """An image whose pixels are not decoded yet, for `finish`. Raises `ImageError`."""
    if not file.read(1):
        raise ImageError(f"{name}: empty file (0 bytes)", "empty")
    file.seek(0)
    try:
        return open_header(file)
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image (no format that is read here)", "not-an-image") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: too many pixels; {_limit()}", "too-large") from None
    except Exception as error:
        _refuse(name, error)


def is_too_large(size: tuple[int, int]) -> bool:
    """Whether a picture of (width, height) is beyond Pillow's limit against bombs."""
    return Image.MAX_IMAGE_PIXELS is not None and size[0] * size[1] > Image.MAX_IMAGE_PIXELS


def finish(image: Image.Image, name: str) -> Image.Image:
    """The upright picture in mode RGB of an image that has been opened. Raises `ImageError`."""
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: an image without pixels ({width} x {height})", "empty")
    if is_too_large(image.size):
        raise ImageError(f"{name}: {width} x {height} pixels are too many; {_limit()}", "too-large")
    _hush_pillow()
    try:
        image.load()
        picture = _to_rgb(_upright(_as_inked(image)))
    except Exception as error:  # the bytes of a damaged file choose the exception: OSError, SyntaxError, struct.error
        _refuse(name, error)
    if picture is not image:
        picture.info.clear()  # a copy still carries the EXIF tag and would be turned again when opened again
    return picture


def _refuse(name: str, error: Exception) -> NoReturn:
    reason = " ".join(str(error).split()) or type(error).__name__
    kind = "truncated" if "truncated" in reason else "damaged"
    raise ImageError(f"{name}: damaged or truncated image ({reason})", kind) from None


def _limit() -> str:
    return f"at most {Image.MAX_IMAGE_PIXELS:,} are accepted, make it smaller first"


def _as_inked(image: Image.Image) -> Image.Image:
    """A CMYK JPEG with its inks the right way round: Pillow takes all for Adobe's, which are stored inverted."""
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        return ImageChops.invert(image)
    return image


def orientation(image: Image.Image) -> int:
    """How a camera was held, by the EXIF tag: 1 is upright, and what there is without a tag. Raises anything."""
    return int(image.getexif().get(_ORIENTATION_TAG, 1))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What brings it upright; nothing where it is, and where its EXIF block is broken: that does not spoil pixels."""
    try:
        return UPRIGHT.get(orientation(image))
    except Exception:  # the bytes of the block choose the exception
        return None


def _upright(image: Image.Image) -> Image.Image:
    turn = turn_of(image)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if kind := number_kind(image):
        return _scaled(image) if kind == "16-bit" else _stretched(image)
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    canvas = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(canvas, layered).convert("RGB")


def number_kind(image: Image.Image) -> Literal["16-bit", "32-bit", "float"] | None:
    """What the levels of grey are that are no bytes; None of any other picture."""
    if image.mode == "F":
        return "float"
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _16_BIT_IN_32):
        return "16-bit"
    return "32-bit" if image.mode == "I" else None


def _scaled(image: Image.Image) -> Image.Image:
    """Grey 0..65535 to 0..255; Pillow's own conversion would clip everything above 255 to white."""
    levels = np.asarray(image).astype(np.float64)
    return _grey(np.where(levels == image.info.get("transparency"), 255.0, levels / 257.0))


def _stretched(image: Image.Image) -> Image.Image:
    """The lowest finite value becomes 0, the highest 255; what is not finite is black, or white above all numbers."""
    levels = np.asarray(image).astype(np.float64)
    finite = levels[np.isfinite(levels)]
    if not finite.size:
        raise ValueError("none of its values is a finite number")
    low, high = finite.min(), finite.max()
    levels = np.nan_to_num(levels, nan=low, posinf=high, neginf=low)
    return _grey((levels - low) / ((high - low) or 1.0) * 255.0)


def _grey(levels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")


def _hush_pillow() -> None:
    """Keep Pillow's warnings off the terminal: what matters in them is raised here as an `ImageError`, the rest speaks
    of EXIF blocks nobody reads.

    A filter and not `warnings.catch_warnings`, which swaps global state and so is not safe in the decoding threads.
    """
    if not warnings.filters or warnings.filters[0][3] != _PILLOW_MODULES:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES.pattern)
