"""ONNX files in and out: a graph is data, and these functions are its file format. NumPy and the standard library only.

Only what files of nets need: nodes with plain attributes, tensors kept in the file itself, one graph. The names are
those of the standard's schema (onnx.proto), and so are the numbers of its fields.

Source: onnx/onnx, onnx.proto, IR version 8.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.interop.protobuf import (
    Buffer,
    Message,
    write_block,
    write_float,
    write_floats,
    write_integer,
    write_integers,
    write_text,
)

IR_VERSION = 8
OPSET = 17
MAX_BYTES = (1 << 31) - 1  # of one protobuf message
_ALIGNMENT = 4  # bytes: the size of a float32
_MOST_SIDES = 64  # of an array in NumPy

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]
Array = NDArray[Any]

# TensorProto.DataType. float16 is 10, bfloat16 is 16: no file of ours has them.
_DTYPES: Mapping[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}
_DTYPE_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}

_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7  # AttributeProto.AttributeType
_EXTERNAL = 1  # TensorProto.DataLocation


class Place(NamedTuple):
    """Where a tensor lies that is not in the ONNX file itself: bytes of another file, named as the runtime finds it."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True)
class Node:
    """One operation of the standard's own set: `outputs` = `op`(`inputs`). Values are known by their names."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Value:
    """What enters or leaves a graph. A side that is free, such as the batch, has a name instead of a number."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A net as ONNX sees it: nodes in the order of their work, tensors by name, and texts about it all."""

    name: str
    nodes: tuple[Node, ...]
    initializers: Mapping[str, Array] = field(repr=False)
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    opset: int = OPSET

    def serialize(self) -> bytes:
        """The content of an .onnx file.

        Raises:
            InputError: over two gigabytes, which the format does not allow.
        """
        return b"".join(write_graph(self))


def write_graph(graph: Graph, *, elsewhere: Mapping[str, Place] = MappingProxyType({})) -> list[Buffer]:
    """The content of an .onnx file in parts, in which the tensors are not copied.

    `elsewhere`: tensors by name that the runtime is to look for in other files.

    Raises:
        InputError: over two gigabytes, which the format does not allow.
    """
    body: list[Buffer] = []
    for name, array in graph.initializers.items():
        body += _padded(partial(_tensor, name, array, elsewhere.get(name)))
    for node in graph.nodes:
        body += write_block(1, _node(node))
    body.append(write_text(2, graph.name))
    for number, values in ((11, graph.inputs), (12, graph.outputs)):
        for value in values:
            body += write_block(number, _value(value))
    header, *body = write_block(7, body)
    head = _padded(
        lambda padding: [write_integer(1, IR_VERSION), write_text(2, "alexnet"), write_text(6, padding), header]
    )
    parts = [*head, *body, *write_block(8, [write_text(1, ""), write_integer(2, graph.opset)])]
    for key, text in graph.metadata.items():
        parts += write_block(14, [write_text(1, key), write_text(2, text)])
    if (size := sum(map(len, parts))) > MAX_BYTES:
        raise InputError(f"{graph.name} takes {size:,} bytes as ONNX, whose files end at {MAX_BYTES:,}")
    return parts


def read_graph(content: Buffer) -> Graph:
    """The graph in the content of an .onnx file; its tensors lie where they lie in `content`, read-only if that is.

    Raises:
        InputError: not a whole ONNX file, or one that uses what is not read here; one line that says what.
    """
    model = _read_model(content)
    opsets = {each.text(1): each.integer(2) for each in model.messages(8)}
    graph = model.message(7)
    return Graph(
        name=graph.text(2),
        nodes=tuple(map(_read_node, graph.messages(1))),
        initializers=dict(map(_read_tensor, graph.messages(5))),
        inputs=tuple(map(_read_value, graph.messages(11))),
        outputs=tuple(map(_read_value, graph.messages(12))),
        metadata=_read_metadata(model),
        opset=opsets.get("", 0),
    )


def read_texts(content: Buffer) -> dict[str, str]:
    """The metadata in the content of an .onnx file, whatever its graph is made of.

    Raises:
        InputError: not a whole ONNX file.
    """
    return _read_metadata(_read_model(content))


def _node(node: Node) -> list[Buffer]:
    parts: list[Buffer] = [write_text(1, name) for name in node.inputs]
    parts += [write_text(2, name) for name in node.outputs]
    parts += [write_text(3, node.name), write_text(4, node.op)]
    for name, value in node.attributes.items():
        parts += write_block(5, [write_text(1, name), *_attribute(value)])
    return parts


def _attribute(value: Attribute) -> list[Buffer]:
    """The value and its type, which are fields of their own."""
    match value:
        case int():
            return [write_integer(3, value), write_integer(20, _INT)]
        case float():
            return [write_float(2, value), write_integer(20, _FLOAT)]
        case str():
            return [write_text(4, value), write_integer(20, _STRING)]
        case _ if all(isinstance(each, int) for each in value):
            return [write_integers(8, cast(Sequence[int], value)), write_integer(20, _INTS)]
        case _:
            return [write_floats(7, value), write_integer(20, _FLOATS)]


def _padded(draw: Callable[[str], list[Buffer]]) -> list[Buffer]:
    """What `draw` gives for as many blanks of documentation as make its length a multiple of `_ALIGNMENT`.

    All that stands before tensors in a file is padded, and they end what they are in: so they begin at addresses that
    processors like when the file is mapped. Sums of a tensor that lies across take three times as long.
    """
    for padding in count():
        parts = draw(" " * padding)
        if sum(map(len, parts)) % _ALIGNMENT == 0:
            return parts
    raise AssertionError("unreachable: each blank is a byte")


def _tensor(name: str, array: Array, place: Place | None, padding: str) -> list[Buffer]:
    dtype = array.dtype.newbyteorder("<")
    parts: list[Buffer] = [write_integers(1, array.shape), write_integer(2, _DTYPE_NUMBERS[dtype])]
    parts += [write_text(8, name), write_text(12, padding)]
    if place:
        for key, value in (("location", place.file), ("offset", place.offset), ("length", place.length)):
            parts += write_block(13, [write_text(1, key), write_text(2, str(value))])
        parts.append(write_integer(14, _EXTERNAL))
    else:
        parts += write_block(9, [np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data])
    return write_block(5, parts)


def _value(value: Value) -> list[Buffer]:
    sides: list[Buffer] = []
    for side in value.shape:
        sides += write_block(1, [write_text(2, side) if isinstance(side, str) else write_integer(1, side)])
    tensor = [write_integer(1, _DTYPE_NUMBERS[value.dtype]), *write_block(2, sides)]
    return [write_text(1, value.name), *write_block(2, write_block(1, tensor))]


def _read_model(content: Buffer) -> Message:
    model = Message(content)
    if 7 not in model:
        raise InputError("not a whole ONNX file (no graph)")
    return model


def _read_metadata(model: Message) -> dict[str, str]:
    return {each.text(1): each.text(2) for each in model.messages(14)}


def _read_node(node: Message) -> Node:
    if domain := node.text(7).replace("ai.onnx", ""):
        raise InputError(f"an ONNX graph with operations of {domain}, which only its own runtime knows")
    return Node(
        op=node.text(4),
        inputs=tuple(node.texts(1)),
        outputs=tuple(node.texts(2)),
        name=node.text(3),
        attributes={each.text(1): _read_attribute(each) for each in node.messages(5)},
    )


def _read_attribute(attribute: Message) -> Attribute:
    match attribute.integer(20):
        case 1:
            return (attribute.floats(2) or [0.0])[-1]
        case 2:
            return attribute.integer(3)
        case 3:
            return attribute.text(4)
        case 6:
            return tuple(attribute.floats(7))
        case 7:
            return tuple(attribute.integers(8))
        case kind:
            raise InputError(f"an ONNX graph whose attribute {attribute.text(1)!r} is of type {kind}, not read here")


def _read_tensor(tensor: Message) -> tuple[str, Array]:
    name, shape, dtype = tensor.text(8), tuple(tensor.integers(1)), _DTYPES.get(tensor.integer(2))
    if dtype is None:
        raise InputError(f"tensor {name!r} is of ONNX type {tensor.integer(2)}, not read here")
    if tensor.integer(14) == _EXTERNAL:
        raise InputError(f"tensor {name!r} is kept in another file; save the model as one file")
    content = (tensor.blocks(9) or [memoryview(b"")])[-1]
    if len(shape) > _MOST_SIDES:
        raise InputError(f"damaged (tensor {name!r} has {len(shape):,} sides)")
    if min(shape, default=0) < 0 or len(content) != prod(shape) * dtype.itemsize:
        raise InputError(
            f"tensor {name!r} of shape {shape} has {len(content):,} bytes: damaged, or not stored as raw data"
        )
    return name, np.frombuffer(content, dtype).reshape(shape)


def _read_value(value: Message) -> Value:
    tensor = value.message(2).message(1)
    dtype = _DTYPES.get(tensor.integer(1))
    if dtype is None:
        raise InputError(f"value {value.text(1)!r} is of ONNX type {tensor.integer(1)}, not read here")
    sides: Iterable[Message] = tensor.message(2).messages(1)
    return Value(value.text(1), dtype, tuple(side.text(2) if 2 in side else side.integer(1) for side in sides))
