"""Caffe's mean images: .binaryproto files, each one blob. NumPy only.

Source: BVLC/caffe, tools/compute_image_mean.cpp.
"""

import numpy as np

from alexnet.errors import InputError
from alexnet.interop.caffe.blob import Array, read_blob, write_blob
from alexnet.interop.protobuf import Buffer, Message

SUFFIX = ".binaryproto"

_COLOURS = 3


def read_mean_image(content: Buffer) -> Array:
    """The mean image in the content of a file, (3, height, width), blue first, not copied.

    Raises:
        InputError: not a whole such file, or not of one image of three channels.
    """
    image = read_blob("the mean image", Message(content))
    is_one = image.ndim in (3, 4) and image.size == np.prod(image.shape[-3:]) > 0
    if not is_one or image.shape[-3] != _COLOURS:
        raise InputError(f"a mean image is of three channels (1, 3, height, width), not {image.shape}")
    return image.reshape(image.shape[-3:])


def write_mean_image(image: Array) -> bytes:
    """The content of a file for a mean image (3, height, width), blue first."""
    return write_blob((1, *image.shape), v1=True) + image.astype("<f4").tobytes()
