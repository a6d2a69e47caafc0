"""A picture becomes the array a network was trained on. NumPy and Pillow only: all that prediction needs.

Images stay uint8, 0 to 255, RGB, planar (3, H, W) until the last moment; what is subtracted from them belongs to the
weights and travels with them as a `Preprocessing`. The way of one picture:

    open_image -> draw_canvas -> extract_views (one crop, or ten) -> normalize

Source: Krizhevsky et al. 2012, sec. 2 and 4.1; crops and mean as in cuda-convnet's convdata.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.images import open_image
from alexnet.data.picture import Picture
from alexnet.errors import InputError

__all__ = [
    "INTERPOLATION",
    "Preprocessing",
    "View",
    "Window",
    "canvas_size",
    "crop_offsets",
    "cut_view",
    "draw_canvas",
    "draw_window",
    "extract_views",
    "normalize",
    "open_image",
    "resize_image",
]

Resize = int | tuple[int, int]
Views = Literal["center", "ten"]
MeanCrop = Literal["center", "view"]
Scalar = TypeVar("Scalar", bound=np.generic)

FILTERS: Mapping[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


LARGEST_CANVAS = 4096  # pixels a side. Ours: beyond any net of images, and what a hundred megabytes hold


# Antialiased by Pillow. What training draws with and prepared images are drawn with: they are to be the same pixels.
INTERPOLATION = "bilinear"


class Window(NamedTuple):
    """A part of the canvas, in pixels."""

    top: int
    left: int
    height: int
    width: int


class View(NamedTuple):
    """Where a crop is taken, and whether it is then mirrored left to right."""

    top: int
    left: int
    flip: bool


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to a picture before the first layer; part of the weights, because they only work with their own.

    resize: int, the shorter side becomes that and the central square is kept (2012); (height, width), the picture is
        warped to that whatever its aspect (Caffe).
    scale: what pixels 0..255 are multiplied by; 1/255 where mean and std were written for 0..1 (torchvision).
    mean, std: by channel, in `channel_order`, in units after `scale`.
    mean_image: float32 (3, height, width) on the canvas, replaces `mean`.
    mean_crop: which part of it is subtracted. center: its central crop from every crop, wherever that was taken, as the
        2012 code did; view: from each crop the part that lies under it, mirrored where the crop is, as Caffe does.
    reduce_to: a picture whose shorter side is longer is reduced to that before all else, for weights that have learned
        from small pictures alone and know nothing of what sharper ones show.

    Raises:
        InputError: a crop larger than the canvas, an unknown filter or channel order, a mean image of another size.
    """

    resize: Resize = 256
    interpolation: str = "bilinear"
    crop: int = 224
    channel_order: str = "RGB"
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mean_image: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    mean_crop: MeanCrop = "center"
    reduce_to: int | None = None

    def __post_init__(self) -> None:
        check_canvas(self.resize, self.interpolation, self.crop)
        if self.channel_order not in ("RGB", "BGR"):
            raise InputError(f"channel_order is RGB or BGR, not {self.channel_order!r}")
        if self.mean_crop not in ("center", "view"):
            raise InputError(f"mean_crop is center or view, not {self.mean_crop!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or not np.isfinite([*self.mean, *self.std, self.scale]).all():
            raise InputError("mean and std are three numbers each, and scale is a number")
        if self.reduce_to is not None and not (isinstance(self.reduce_to, int) and self.reduce_to >= 1):
            raise InputError(f"reduce_to is a whole number of pixels, not {self.reduce_to!r}")
        if min(self.std) <= 0 or self.scale <= 0:
            raise InputError("std and scale must be above zero")
        if self.mean_image is not None and self.mean_image.shape != (3, *self.canvas):
            raise InputError(f"the mean image is {self.mean_image.shape}, the canvas needs {(3, *self.canvas)}")
        if self.mean_image is not None and not np.isfinite(self.mean_image).all():
            raise InputError("the mean image holds values that are not numbers")

    def __repr__(self) -> str:
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        if self.mean_image is not None:
            shown["mean"] = "the mean image"
        return f"Preprocessing({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) after `resize`."""
        return canvas_size(self.resize)

    @property
    def mean_moves(self) -> bool:
        """Is something else subtracted from every view?"""
        return self.mean_image is not None and self.mean_crop == "view"

    def mean_of(self, view: View | None = None) -> NDArray[np.float32]:
        """What is subtracted from a view, by default the central one: float32, broadcasts over (N, 3, crop, crop)."""
        if self.mean_image is None:
            return np.asarray(self.mean, np.float32)[:, None, None]
        if view is None or not self.mean_moves:
            (view,) = crop_offsets(self.canvas, self.crop, "center")
        return cut_view(self.mean_image, self.crop, view)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the metadata of weights. A mean image travels as a tensor; here `mean` is then "image"."""
        values = {
            "resize": self.resize if isinstance(self.resize, int) else list(self.resize),
            "interpolation": self.interpolation,
            "crop": self.crop,
            "channel_order": self.channel_order,
            "scale": self.scale,
            "mean": list(self.mean) if self.mean_image is None else "image",
            "std": list(self.std),
        }
        later = {"mean_crop": "center", "reduce_to": None}  # than the first files, which say nothing of these
        return values | {key: getattr(self, key) for key, usual in later.items() if getattr(self, key) != usual}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], mean_image: NDArray[np.float32] | None = None) -> Self:
        """The inverse of `to_json`.

        Raises:
            InputError: an unknown key, values that do not fit together, or a mean image that is meant and not given.
        """
        known = cls(mean_crop="view", reduce_to=1).to_json()
        if unknown := sorted(values.keys() - known.keys()):
            raise InputError(f"unknown preprocessing {', '.join(unknown)}; known: {', '.join(known)}")
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        if plain.get("mean") == "image":
            if mean_image is None:
                raise InputError("the mean image is missing; without it the weights do not work, so copy them again")
            del plain["mean"]
        return cls(**plain, mean_image=mean_image)


def canvas_size(resize: Resize) -> tuple[int, int]:
    """(height, width) of a picture after `resize`."""
    return (resize, resize) if isinstance(resize, int) else resize


def check_canvas(resize: Resize, interpolation: str, crop: int) -> None:
    """Refuse sizes that no picture could be brought to.

    Raises:
        InputError: a crop larger than the canvas or below one pixel, a canvas beyond `LARGEST_CANVAS` or not of whole
            pixels, or an unknown filter.
    """
    if interpolation not in FILTERS:
        raise InputError(f"interpolation is one of {', '.join(FILTERS)}, not {interpolation!r}")
    height, width = canvas_size(resize)
    if not all(isinstance(side, int) for side in (height, width, crop)) or max(height, width) > LARGEST_CANVAS:
        raise InputError(f"resize and crop are whole pixels, {LARGEST_CANVAS} at most, not {resize!r} and {crop!r}")
    if not 1 <= crop <= min(height, width):
        raise InputError(f"a crop of {crop} does not fit the canvas of {height} x {width}; make resize larger")


def resize_image(image: Image.Image, resize: Resize, interpolation: str) -> NDArray[np.uint8]:
    """The canvas of an RGB picture, uint8 (3, height, width).

    With an integer `resize` the sizes round as torchvision's `Resize` and `CenterCrop` do.
    """
    return np.ascontiguousarray(draw_window(image, resize, interpolation).transpose(2, 0, 1))


def draw_canvas(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The canvas that weights want of an RGB picture: uint8 (height, width, 3), not to be changed."""
    shorter, side = min(image.size), preprocessing.reduce_to
    if side and side < shorter:
        width, height = (max(1, round(side * edge / shorter)) for edge in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)  # each pixel the mean of those that it replaces
    return draw_window(image, preprocessing.resize, preprocessing.interpolation)


def draw_window(
    image: Image.Image | Picture, resize: Resize, interpolation: str, window: Window | None = None
) -> NDArray[np.uint8]:
    """A window of the canvas of an RGB picture, or all of it: uint8 (height, width, 3), not to be changed.

    Its pixels are drawn straight from their box in the picture, so parts that are cut away are never computed. They
    equal a cut from the whole canvas to rounding: Pillow may draw a part of an upright picture down first, the whole
    across first (of 96 photographs at 256 4 % of the values differ, by one grey level; bicubic by ten at most, where
    one direction overshoots black or white).
    """
    height, width = canvas_size(resize)
    window = window or Window(0, 0, height, width)
    pixels, size, reduction = image if isinstance(image, Picture) else Picture(image, image.size)
    left, upper, right, lower = (edge / reduction for edge in _source_box(size, resize, window))
    if isinstance(pixels, np.ndarray):
        if (right - left, lower - upper) == (window.width, window.height) and left.is_integer() and upper.is_integer():
            return pixels[int(upper) : int(lower), int(left) : int(right)]
        pixels = Image.fromarray(pixels)
    box = (left, upper, right, lower)
    return np.asarray(pixels.resize((window.width, window.height), FILTERS[interpolation], box=box))


def _source_box(size: tuple[int, int], resize: Resize, window: Window) -> tuple[float, float, float, float]:
    """(left, upper, right, lower) in the picture of a window of its canvas."""
    width, height = size
    canvas_height, canvas_width = canvas_size(resize)
    if isinstance(resize, int):
        shorter = min(size)
        full_height, full_width = resize * height // shorter, resize * width // shorter
    else:
        full_height, full_width = resize
    top = round((full_height - canvas_height) / 2) + window.top
    left = round((full_width - canvas_width) / 2) + window.left
    return (
        left * width / full_width,
        top * height / full_height,
        (left + window.width) * width / full_width,
        (top + window.height) * height / full_height,
    )


def crop_offsets(canvas: tuple[int, int], crop: int, views: Views) -> list[View]:
    """The central crop, or the ten of the paper: four corners with the centre, then the same five mirrored.

    Source: Krizhevsky et al. 2012, sec. 4.1; the order of the 2012 code, (y, x) = (0, 0), (0, 32), (16, 16), (32, 0),
    (32, 32) for 224 of 256.
    """
    down, right = canvas[0] - crop, canvas[1] - crop
    center = View(down // 2, right // 2, False)
    if views == "center":
        return [center]
    if views != "ten":
        raise InputError(f"views is center or ten, not {views!r}")
    five = [View(0, 0, False), View(0, right, False), center, View(down, 0, False), View(down, right, False)]
    return five + [view._replace(flip=True) for view in five]


def extract_views(images: NDArray[Scalar], crop: int, views: Views) -> NDArray[Scalar]:
    """Views of canvases: (..., 3, H, W) to (V, ..., 3, crop, crop), V = 1 or 10 in the order of `crop_offsets`."""
    height, width = images.shape[-2:]
    return np.stack([cut_view(images, crop, view) for view in crop_offsets((height, width), crop, views)])


def cut_view(images: NDArray[Scalar], crop: int, view: View) -> NDArray[Scalar]:
    """One view of canvases, where it lies: (..., 3, H, W) to (..., 3, crop, crop)."""
    cut = images[..., view.top : view.top + crop, view.left : view.left + crop]
    return cut[..., ::-1] if view.flip else cut


def normalize(images: NDArray[np.uint8], preprocessing: Preprocessing, view: View | None = None) -> NDArray[np.float32]:
    """Crops as the first layer wants them: uint8 RGB (N, 3, crop, crop) to float32 of the same shape.

    Channel order, times scale, minus mean (image), divided by std. `view`: which they are, the central one without it.
    """
    ordered = images if preprocessing.channel_order == "RGB" else images[:, ::-1]
    pixels = ordered.astype(np.float32)
    if preprocessing.scale != 1.0:
        pixels *= np.float32(preprocessing.scale)
    pixels -= preprocessing.mean_of(view)
    if preprocessing.std != (1.0, 1.0, 1.0):
        pixels /= np.asarray(preprocessing.std, np.float32)[:, None, None]
    return pixels
