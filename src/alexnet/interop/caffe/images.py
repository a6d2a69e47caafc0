"""What is done to images before the first layer, in Caffe's words and in ours.

Caffe takes pixels of 0 to 255, blue first, less a mean image (before it crops) or the mean of each channel, and
multiplies the difference by `scale`. Its data layers say so; a deploy file's Input layer has room for the same words,
which Caffe does not read there, and which we write for whoever feeds the net. How large images were before the crop is
in `image_data_param`: height and width, to which they are warped; the height alone (ours) is that of the shorter side.

Source: BVLC/caffe, src/caffe/data_transformer.cpp, image_data_layer.cpp.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.interop.caffe.layers import Inputs, Layer, Settings
from alexnet.preprocess import Preprocessing, Resize

COLOURS = 3

# The means of ImageNet's channels, blue first, which BVLC offers in place of its mean image.
IMAGENET_MEAN = (104.00698793, 116.66876762, 122.67891434)

# Crops of this many pixels come from images of 256, as all of ImageNet's. Ours: no file says.
_IMAGENET_CROPS, _IMAGENET_CANVAS = range(192, 257), 256

DATA_LAYERS = {"Data": "data_param", "ImageData": "image_data_param", "MemoryData": "memory_data_param", "Input": ""}


@dataclass(frozen=True, kw_only=True)
class Images:
    """What a definition says of images. `shape`: (channels, height, width) of what the net takes.

    canvas: as `Preprocessing.resize`, None where nothing is said. mean: by channel, blue first; None where nothing is
    said of any mean. mean_file: the name of the file of a mean image, in its folder; empty where there is none.
    """

    shape: tuple[int, int, int]
    canvas: Resize | None = None
    scale: float = 1.0
    mean: tuple[float, ...] | None = None
    mean_file: str = ""

    def preprocessing(self, mean_image: NDArray[np.float32] | None = None) -> Preprocessing:
        """The same in our words. mean_image: float32 (3, height, width), blue first, its size that of the canvas.

        Where a definition says nothing of a mean, ImageNet's is subtracted, and a crop of the size of ImageNet's comes
        from images of 256 pixels. Caffe subtracts its mean image before it crops: from every view
        that of it which lies under the view.

        Raises:
            InputError: a mean image that the crop does not fit, or of another size than the definition says; images of
                other channels than three.
        """
        if self.shape[0] != COLOURS:
            raise InputError(f"images of {self.shape[0]} channels; weights here are for pictures, which have {COLOURS}")
        crop = self.shape[1]
        means = IMAGENET_MEAN if self.mean is None else self.mean or (0.0,) * COLOURS
        return Preprocessing(
            resize=self.canvas or _canvas(crop, mean_image),
            interpolation="bilinear",
            crop=crop,
            channel_order="BGR",
            scale=self.scale,
            mean=(means[0] * self.scale, means[1] * self.scale, means[2] * self.scale),
            mean_image=None if mean_image is None else mean_image * np.float32(self.scale),
            mean_crop="center" if mean_image is None else "view",
        )


def _canvas(crop: int, mean_image: NDArray[np.float32] | None) -> Resize:
    if mean_image is not None:
        return mean_image.shape[1], mean_image.shape[2]
    side = _IMAGENET_CANVAS if crop in _IMAGENET_CROPS else crop
    return side, side


def images_of_inputs(inputs: Inputs) -> Images:
    """What a deploy file says that names its inputs, and no more."""
    return Images(shape=inputs.shape)


def images_of_layer(layer: Layer) -> Images:
    """What a data layer says, or an Input layer.

    Raises:
        InputError: it does not say how large images are, or says what cannot be done here.
    """
    transform = layer.settings("transform_param")
    data = layer.settings(DATA_LAYERS[layer.kind]) if DATA_LAYERS[layer.kind] else transform
    old = data if layer.kind in ("Data", "ImageData") else transform  # before 2014 these said it themselves
    if transform.flag("force_gray"):
        transform.refuse("pictures of one channel are not read here", "force_gray")
    layer.settings("image_data_param").expect("is_color", True, "pictures of one channel are not read here")
    crop = transform.whole("crop_size") or old.whole("crop_size")
    shape = _SHAPES[layer.kind](layer, data, crop)
    scale = transform if "scale" in transform else old
    if scale.real("scale") <= 0:
        scale.refuse("must be above zero", "scale")
    is_said = layer.kind != "Input" or "transform_param" in layer
    mean_file = transform.text("mean_file") or old.text("mean_file")
    mean = _mean(transform, shape[0], mean_file)
    return Images(
        shape=shape,
        canvas=_said_canvas(layer),
        scale=scale.real("scale"),
        mean=mean if is_said else None,
        mean_file=mean_file.replace("\\", "/").rpartition("/")[2],
    )


def _mean(transform: Settings, channels: int, mean_file: str) -> tuple[float, ...]:
    means = transform.reals("mean_value")
    if means and mean_file:
        transform.refuse("beside mean_file; Caffe takes one of them", "mean_value")
    if len(means) not in (0, 1, channels):
        transform.refuse(f"{len(means)} of them for {channels} channels", "mean_value")
    return means * channels if len(means) == 1 else means


def _said_canvas(layer: Layer) -> Resize | None:
    said = layer.settings("image_data_param")
    height, width = said.whole("new_height"), said.whole("new_width")
    return (height, width) if height and width else height or None


def _cropped(layer: Layer, data: Settings, crop: int) -> tuple[int, int, int]:
    height, width = crop, crop
    if layer.kind == "ImageData" and not crop:
        height, width = data.whole("new_height"), data.whole("new_width")
    if not (height and width):
        layer.refuse("how large images are stands in the database alone; write a crop_size", "transform_param")
    return COLOURS, height, width


def _in_memory(_layer: Layer, data: Settings, crop: int) -> tuple[int, int, int]:
    channels, height, width = (data.whole(key, least=1) for key in ("channels", "height", "width"))
    return (channels, crop, crop) if crop else (channels, height, width)


def _given(layer: Layer, _data: Settings, _crop: int) -> tuple[int, int, int]:
    shapes = layer.settings("input_param").message.shape
    return layer.sides(shapes[0].dim if shapes else (), "input_param.shape")


_SHAPES = {"Data": _cropped, "ImageData": _cropped, "MemoryData": _in_memory, "Input": _given}
