"""Caffe's .caffemodel files: the name of a net and its blobs, where they lie in the file. NumPy only.

A file is one protobuf message, NetParameter, whose layers are of one of two kinds: V1 (until 2014, as BVLC's own) and
the present one. Weights are as PyTorch's: (outputs, inputs / groups, height, width), or (outputs, inputs).

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.interop.protobuf import Buffer, Message

Array = NDArray[np.float32]

LRN, POOLING = "LRN", "Pooling"  # types of layers, as Caffe calls them


class _Kind(NamedTuple):
    """The numbers of fields, for one of the two kinds of layers: layers in the net, and what is in a layer."""

    layers: int
    name: int
    type: int
    blobs: int


_PRESENT, _V1 = _Kind(layers=100, name=1, type=2, blobs=7), _Kind(layers=2, name=4, type=5, blobs=6)
_V1_TYPES = {15: LRN, 17: POOLING}  # which are numbers there
_V0_LAYER = 1  # of a V1 layer: what it wraps is older still
_NAME = 1  # of NetParameter
# Fields of BlobProto.
_OLD_SIDES, _DATA, _SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
_MOST_SIDES = 32  # Caffe's own limit
_MOST_BLOBS = 8  # ours, of a layer: most have two
_LONGEST_NAME = 256  # ours, in bytes: each blob's key has the name of its layer in it

_PARTS = ("weight", "bias")


class CaffeModel(NamedTuple):
    """A trained net of Caffe: its name, and its blobs as `LAYER.weight` and `LAYER.bias`, read-only.

    order: `LRN` or `POOLING` for each layer of these types, as they follow upon each other; empty in a file of weights
    alone.
    """

    name: str
    tensors: dict[str, Array]
    order: tuple[str, ...]


def read_caffemodel(content: Buffer) -> CaffeModel:
    """The net in the content of a .caffemodel file, not copied.

    Raises:
        InputError: not a whole such file, or one of before V1 or of float64; one line that says what.
    """
    net = Message(content)
    tensors: dict[str, Array] = {}
    types: list[str] = []
    for kind in (_PRESENT, _V1):
        for layer in net.messages(kind.layers):
            if kind is _V1 and _V0_LAYER in layer:
                raise InputError("a Caffe net of 2013 (V0 layers); pass it through Caffe's upgrade_net_proto_binary")
            tensors |= _tensors(layer, kind)
            types.append(_type(layer, kind))
    if not tensors:
        raise InputError("not a whole Caffe net (no layer in it has weights)")
    return CaffeModel(_name(net, _NAME), tensors, tuple(name for name in types if name in (LRN, POOLING)))


def _tensors(layer: Message, kind: _Kind) -> dict[str, Array]:
    """The blobs of a layer by their keys; those beyond weights and biases, which AlexNet has not, by their numbers."""
    name = _name(layer, kind.name)
    if (count := len(layer.blocks(kind.blobs))) > _MOST_BLOBS:
        raise InputError(f"damaged ({name} has {count:,} blobs); copy it again")
    tensors: dict[str, Array] = {}
    for index, blob in enumerate(layer.messages(kind.blobs)):  # one by one: their fields take more than their numbers
        key = f"{name}.{_PARTS[index] if index < len(_PARTS) else index}"
        tensors[key] = _array(key, blob)
    return tensors


def _type(layer: Message, kind: _Kind) -> str:
    return _V1_TYPES.get(layer.integer(kind.type), "") if kind is _V1 else _name(layer, kind.type)


def _name(message: Message, number: int) -> str:
    if max(map(len, message.blocks(number)), default=0) > _LONGEST_NAME:
        raise InputError(f"damaged (a name of over {_LONGEST_NAME} bytes); copy it again")
    return message.text(number)


def _array(key: str, blob: Message) -> Array:
    shape = _shape(key, blob)
    blocks = blob.blocks(_DATA)
    content = blocks[0] if len(blocks) == 1 else b"".join(blocks)  # packed; or one by one, as the format allows
    if not content and _DOUBLES in blob:
        raise InputError(f"{key} is of float64, which is not read here; save it from a net of float32")
    if len(content) != 4 * prod(shape):
        raise InputError(f"damaged ({key} of shape {shape} has {len(content):,} bytes); copy it again")
    return np.frombuffer(content, "<f4").reshape(shape)


def _shape(key: str, blob: Message) -> tuple[int, ...]:
    """As PyTorch has it: V1 blobs have four sides, of which the first are 1 where there are fewer."""
    sides: Any = blob.message(_SHAPE).integers(1) if _SHAPE in blob else [blob.integer(side) for side in _OLD_SIDES]
    if len(sides) > _MOST_SIDES or min(sides, default=0) < 0:
        raise InputError(f"damaged ({key} has no shape); copy it again")
    if key.endswith(".bias"):
        return (prod(sides),)
    return tuple(sides[2:]) if len(sides) == 4 and sides[:2] == [1, 1] else tuple(sides)
