"""Caffe's .caffemodel files: the name of a net and its blobs, where they lie in the file. NumPy only.

A file is one protobuf message, NetParameter, whose layers are of one of two kinds: V1 (until 2014, as BVLC's own) and
the present one.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from typing import NamedTuple

from alexnet.errors import InputError
from alexnet.interop.caffe.blob import Array, read_blob
from alexnet.interop.caffe.v1 import V1_TYPES
from alexnet.interop.protobuf import Buffer, Message

SUFFIX = ".caffemodel"

LRN, POOLING = "LRN", "Pooling"  # types of layers, as Caffe calls them


class LayerKind(NamedTuple):
    """The numbers of fields, for one of the two kinds of layers: layers in the net, and what is in a layer."""

    layers: int
    name: int
    type: int
    bottoms: int
    tops: int
    blobs: int


PRESENT = LayerKind(layers=100, name=1, type=2, bottoms=3, tops=4, blobs=7)
V1 = LayerKind(layers=2, name=4, type=5, bottoms=2, tops=3, blobs=6)
_V1_NAMES = {known.number: known.name for known in V1_TYPES.values()}  # types are numbers there
_V0_LAYER = 1  # of a V1 layer: what it wraps is older still
NET_NAME = 1  # the field of NetParameter
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
    for kind in (PRESENT, V1):
        for layer in net.messages(kind.layers):
            if kind is V1 and _V0_LAYER in layer:
                raise InputError("a Caffe net of 2013 (V0 layers); pass it through Caffe's upgrade_net_proto_binary")
            tensors |= _tensors(layer, kind)
            types.append(_type(layer, kind))
    if not tensors:
        raise InputError("not a whole Caffe net (no layer in it has weights)")
    return CaffeModel(_name(net, NET_NAME), tensors, tuple(name for name in types if name in (LRN, POOLING)))


def _tensors(layer: Message, kind: LayerKind) -> dict[str, Array]:
    """The blobs of a layer by their keys; those beyond weights and biases, which AlexNet has not, by their numbers."""
    name = _name(layer, kind.name)
    if (count := len(layer.blocks(kind.blobs))) > _MOST_BLOBS:
        raise InputError(f"damaged ({name} has {count:,} blobs); copy it again")
    tensors: dict[str, Array] = {}
    for index, blob in enumerate(layer.messages(kind.blobs)):  # one by one: their fields take more than their numbers
        key = f"{name}.{_PARTS[index] if index < len(_PARTS) else index}"
        tensors[key] = read_blob(key, blob)
    return tensors


def _type(layer: Message, kind: LayerKind) -> str:
    return _V1_NAMES.get(layer.integer(kind.type), "") if kind is V1 else _name(layer, kind.type)


def _name(message: Message, number: int) -> str:
    if max(map(len, message.blocks(number)), default=0) > _LONGEST_NAME:
        raise InputError(f"damaged (a name of over {_LONGEST_NAME} bytes); copy it again")
    return message.text(number)
