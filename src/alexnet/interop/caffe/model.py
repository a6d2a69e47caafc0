"""Caffe's .caffemodel files: the name of a net and its blobs, where they lie in the file. NumPy only.

A file is one protobuf message, NetParameter, whose layers are of one of two kinds: V1 (until 2014, as BVLC's own) and
the present one.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from alexnet.errors import InputError
from alexnet.interop.caffe.blob import FLOAT32_BYTES, Array, read_blob, write_blob
from alexnet.interop.caffe.v1 import V1_TYPES
from alexnet.interop.protobuf import Buffer, Message, write_header, write_integer, write_text

SUFFIX = ".caffemodel"

LRN, POOLING = "LRN", "Pooling"  # types of layers, as Caffe calls them


class _Kind(NamedTuple):
    """The numbers of fields, for one of the two kinds of layers: layers in the net, and what is in a layer."""

    layers: int
    name: int
    type: int
    bottoms: int
    tops: int
    blobs: int


_PRESENT = _Kind(layers=100, name=1, type=2, bottoms=3, tops=4, blobs=7)
_V1 = _Kind(layers=2, name=4, type=5, bottoms=2, tops=3, blobs=6)
_V1_NAMES = {known.number: known.name for known in V1_TYPES.values()}  # types are numbers there
_V1_NUMBERS = {known.name: known.number for known in V1_TYPES.values()}
_V0_LAYER = 1  # of a V1 layer: what it wraps is older still
_NAME = 1  # of NetParameter
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
        tensors[key] = read_blob(key, blob)
    return tensors


def _type(layer: Message, kind: _Kind) -> str:
    return _V1_NAMES.get(layer.integer(kind.type), "") if kind is _V1 else _name(layer, kind.type)


def _name(message: Message, number: int) -> str:
    if max(map(len, message.blocks(number)), default=0) > _LONGEST_NAME:
        raise InputError(f"damaged (a name of over {_LONGEST_NAME} bytes); copy it again")
    return message.text(number)


class TrainedLayer(NamedTuple):
    """A layer to be written: its blobs are weights and biases, if it has any."""

    name: str
    type: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    blobs: Sequence[str]


# A field that Caffe has not, and that every reader of the format passes over: it moves what comes after it. Tag and
# length take three bytes. Before a blob there are as many bytes as its numbers need to begin at a multiple of four,
# where runtimes can use them in the file itself; after the last, what makes the length of the layer one and the same.
_GAP, _GAP_BYTES = 2000, 3
_GAPS = (0, 5, 6, 3)  # for each number of bytes to be moved by, modulo four
_GAPS_OF_BLOB = max(_GAPS) + _GAP_BYTES


def write_caffemodel(
    name: str, layers: Iterable[TrainedLayer], tensors: Mapping[str, Array], *, v1: bool = False
) -> Iterator[Buffer]:
    """The content of a .caffemodel file, piece by piece: arrays are asked for one by one, and not copied.

    tensors: by the names that the layers have for their blobs; float32. v1: in layers of the kind until 2014.
    """
    kind = _V1 if v1 else _PRESENT
    head = write_text(_NAME, name)
    yield head
    position = len(head)
    for layer in layers:
        for piece in _layer_pieces(position, layer, kind, tensors):
            yield piece
            position += len(piece)


def _layer_pieces(position: int, layer: TrainedLayer, kind: _Kind, tensors: Mapping[str, Array]) -> Iterator[Buffer]:
    said = write_integer(kind.type, _V1_NUMBERS[layer.type]) if kind is _V1 else write_text(kind.type, layer.type)
    said += write_text(kind.name, layer.name)
    said += b"".join(write_text(kind.bottoms, bottom) for bottom in layer.bottoms)
    said += b"".join(write_text(kind.tops, top) for top in layer.tops)
    heads = [_blob_head(tensors[key].shape, kind) for key in layer.blobs]
    numbers = [FLOAT32_BYTES * prod(tensors[key].shape) for key in layer.blobs]
    gaps = _GAPS_OF_BLOB * len(heads)
    head = write_header(kind.layers, len(said) + sum(map(len, heads)) + sum(numbers) + gaps) + said
    yield head
    position += len(head)
    for key, head in zip(layer.blobs, heads, strict=True):
        gap = _GAPS[-(position + len(head)) % FLOAT32_BYTES]
        yield _gap(gap) + head
        array = np.ascontiguousarray(tensors[key], "<f4")
        yield array.data.cast("B")
        position += gap + len(head) + array.nbytes
        gaps -= gap
    yield _gap(gaps)


def _blob_head(shape: tuple[int, ...], kind: _Kind) -> bytes:
    head = write_blob(shape, v1=kind is _V1)
    return write_header(kind.blobs, len(head) + FLOAT32_BYTES * prod(shape)) + head


def _gap(num_bytes: int) -> bytes:
    return write_header(_GAP, num_bytes - _GAP_BYTES) + bytes(num_bytes - _GAP_BYTES) if num_bytes else b""
