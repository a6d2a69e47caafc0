"""Caffe's .caffemodel files, written so that the numbers in them lie where runtimes can use them. NumPy only.

Source: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from alexnet.interop.caffe.blob import FLOAT32_BYTES, Array, write_blob
from alexnet.interop.caffe.model import NET_NAME, PRESENT, V1, LayerKind
from alexnet.interop.caffe.v1 import V1_TYPES
from alexnet.interop.protobuf import Buffer, write_header, write_integer, write_text

_V1_NUMBERS = {known.name: known.number for known in V1_TYPES.values()}


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
    kind = V1 if v1 else PRESENT
    head = write_text(NET_NAME, name)
    yield head
    position = len(head)
    for layer in layers:
        for piece in _layer_pieces(position, layer, kind, tensors):
            yield piece
            position += len(piece)


def _layer_pieces(
    position: int, layer: TrainedLayer, kind: LayerKind, tensors: Mapping[str, Array]
) -> Iterator[Buffer]:
    said = write_integer(kind.type, _V1_NUMBERS[layer.type]) if kind is V1 else write_text(kind.type, layer.type)
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


def _blob_head(shape: tuple[int, ...], kind: LayerKind) -> bytes:
    head = write_blob(shape, v1=kind is V1)
    return write_header(kind.blobs, len(head) + FLOAT32_BYTES * prod(shape)) + head


def _gap(num_bytes: int) -> bytes:
    return write_header(_GAP, num_bytes - _GAP_BYTES) + bytes(num_bytes - _GAP_BYTES) if num_bytes else b""
