"""Caffe's blobs: arrays of float32 with their shape, where they lie in a file.

A blob says its shape as a list, or, until 2014, as four sides, of which the first are 1 where there are fewer. Weights
are as PyTorch's: (outputs, inputs / groups, height, width), or (outputs, inputs).

Source: BVLC/caffe, src/caffe/proto/caffe.proto, BlobProto.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.interop.protobuf import Message, write_block, write_header, write_integer, write_integers

Array = NDArray[np.float32]

FLOAT32_BYTES = 4

# Fields of BlobProto, and of the BlobShape in it.
_OLD_SIDES, _DATA, _SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
_SIDES = 1
_MOST_SIDES = 32  # Caffe's own limit


def read_blob(name: str, blob: Message) -> Array:
    """The array of a blob, not copied; `name` is what errors call it.

    Raises:
        InputError: its numbers are not as many as its shape says, or of float64.
    """
    shape = _shape(name, blob)
    blocks = blob.blocks(_DATA)
    content = blocks[0] if len(blocks) == 1 else b"".join(blocks)  # packed; or one by one, as the format allows
    if not content and _DOUBLES in blob:
        raise InputError(f"{name} is of float64, which is not read here; save it from a net of float32")
    if len(content) != FLOAT32_BYTES * prod(shape):
        raise InputError(f"damaged ({name} of shape {shape} has {len(content):,} bytes); copy it again")
    return np.frombuffer(content, "<f4").reshape(shape)


def _shape(name: str, blob: Message) -> tuple[int, ...]:
    sides: Any = (
        blob.message(_SHAPE).integers(_SIDES) if _SHAPE in blob else [blob.integer(side) for side in _OLD_SIDES]
    )
    if len(sides) > _MOST_SIDES or min(sides, default=0) < 0:
        raise InputError(f"damaged ({name} has no shape); copy it again")
    if name.endswith(".bias"):
        return (prod(sides),)
    return tuple(sides[2:]) if len(sides) == 4 and sides[:2] == [1, 1] else tuple(sides)


def write_blob(shape: tuple[int, ...], *, v1: bool) -> bytes:
    """All of a blob of this shape but its numbers, which are to follow: little-endian float32, in C order.

    v1: with four sides, as files until 2014.
    """
    if v1:
        sides = (*(1,) * (len(_OLD_SIDES) - len(shape)), *shape)
        said = b"".join(write_integer(number, side) for number, side in zip(_OLD_SIDES, sides, strict=True))
    else:
        said = b"".join(map(bytes, write_block(_SHAPE, [write_integers(_SIDES, shape)])))
    return said + write_header(_DATA, FLOAT32_BYTES * prod(shape))
