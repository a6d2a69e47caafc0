"""Any image file becomes an upright RGB picture, or one line that says why not."""

import re
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from alexnet.errors import ImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".gif", ".tif", ".tiff"})

_PILLOW_MODULES = re.compile(r"PIL\.")

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


def open_image(source: str | Path | bytes | BinaryIO | Image.Image, name: str | None = None) -> Image.Image:
    """The picture in mode RGB, decoded whole: turned upright by its EXIF tag, transparency laid on white, 16-bit grey
    scaled to 8 bits, the first frame of an animation.

    `name` is what error messages call it; a path has its own.

    Raises:
        ImageError: missing, empty, truncated, not an image, or of more pixels than Pillow's limit against bombs.
    """
    match source:
        case Image.Image():
            return _finish(source, name or "image")
        case bytes():
            return _decode(BytesIO(source), name or "image")
        case str() | Path():
            return _open_path(Path(source), name or str(source))
        case _:
            return _decode(BytesIO(source.read()), name or str(getattr(source, "name", "image")))


def _open_path(path: Path, name: str) -> Image.Image:
    try:
        with path.open("rb") as file:
            return _decode(file, name)
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file", "unreadable") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: a folder, not an image", "unreadable") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror or error})", "unreadable") from None


def _decode(file: BinaryIO, name: str) -> Image.Image:
    if not file.read(1):
        raise ImageError(f"{name}: empty file (0 bytes)", "empty")
    file.seek(0)
    _hush_pillow()
    try:
        image = Image.open(file)
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image (no format that Pillow knows)", "not-an-image") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: too many pixels; {_limit()}", "too-large") from None
    except Exception as error:
        _refuse(name, error)
    return _finish(image, name)


def _finish(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: an image without pixels ({width} x {height})", "empty")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
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


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(orientation(image))
    except Exception:  # a broken EXIF block does not spoil sound pixels
        return image
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if convert := _BY_MODE.get(image.mode):
        return convert(image)
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    canvas = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(canvas, layered).convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Grey 0..65535 to 0..255; Pillow's own conversion would clip everything above 255 to white."""
    levels = np.asarray(image).astype(np.float64)
    grey = np.where(levels == image.info.get("transparency"), 255.0, levels / 257.0)
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")


def _from_float(image: Image.Image) -> Image.Image:
    """Floating-point grey has no agreed range: its own lowest value becomes black, its highest white."""
    grey = np.nan_to_num(np.asarray(image).astype(np.float64))
    spread = np.ptp(grey) or 1.0
    return Image.fromarray(np.rint((grey - grey.min()) / spread * 255).astype(np.uint8)).convert("RGB")


_BY_MODE: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "I": _from_16_bit,
    "I;16": _from_16_bit,
    "I;16L": _from_16_bit,
    "I;16B": _from_16_bit,
    "I;16N": _from_16_bit,
    "F": _from_float,
}


def _hush_pillow() -> None:
    """Keep Pillow's warnings off the terminal: what matters in them is raised here as an `ImageError`, the rest speaks
    of EXIF blocks nobody reads.

    A filter and not `warnings.catch_warnings`, which swaps global state and so is not safe in the decoding threads.
    """
    if not warnings.filters or warnings.filters[0][3] != _PILLOW_MODULES:
        warnings.filterwarnings("ignore", module=_PILLOW_MODULES.pattern)
