"""Quantization put into an ONNX graph: each product reads whole numbers, weighs them with whole numbers, writes them.

A value that is quantized stands as `NAME.levels` (uint8) and is read as `NAME.rounded`; runtimes fuse these steps with
the product between them into one operation on whole numbers. What comes to the same on levels as on the numbers they
stand for (maxima, flattening, dropout, a ReLU of what is not negative) is done on the levels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.export.ranges import UInt8Scale
from alexnet.export.rows import Draft
from alexnet.interop.onnx import Graph, Node
from alexnet.weights.stored import SCALE

_PRODUCTS = ("Conv", "Gemm")
_ON_LEVELS = ("MaxPool", "Flatten")
_LARGEST_SUM = 2**30  # in int32, with room for what is added to it
_LARGEST = 127  # of a weight: symmetric, so that its zero point is 0


class _Levels(NamedTuple):
    """The uint8 value that another stands on, and what its levels mean."""

    name: str
    scale: UInt8Scale


def values_to_quantize(graph: Graph) -> dict[str, bool]:
    """What products read and write by name, and whether only what is above zero counts, because a ReLU follows.

    A product's own value is taken after its ReLU. Where a pool stands between the two, the ReLU may as well come first.
    The last product, of logits, writes floats.
    """
    found: dict[str, bool] = {}
    on_levels: dict[str, bool] = {}
    last = [node for node in graph.nodes if _is_product(node)][-1]
    for node in graph.nodes:
        read, written = node.inputs[0], node.outputs[0]
        if _is_product(node):
            if read not in on_levels:
                found[_before_flattening(graph, read)] = False
            first = _reader(graph, written)
            second = _reader(graph, first.outputs[0]) if first else None
            if first and first.op == "Relu":
                found[first.outputs[0]] = True
            elif node is not last:
                is_clipped = first is not None and second is not None and (first.op, second.op) == ("MaxPool", "Relu")
                found[written] = is_clipped
        elif read in on_levels and _factor_on_levels(node, graph, on_levels[read]):
            on_levels[written] = on_levels[read]
        on_levels |= {name: found[name] for name in node.outputs if name in found}
    return found


def insert_quantization(graph: Graph, scales: Mapping[str, UInt8Scale]) -> Graph:
    """`graph` with the values of `scales` quantized, and the weights of every product that reads one of them.

    A tensor keeps its name as whole numbers; its scale, one for each output, is the tensor `NAME.scale`.
    """
    draft, levels, names = Draft(), dict[str, _Levels](), dict[str, str]()
    draft.initializers.update(graph.initializers)

    def quantize_if_asked(*values: str) -> None:
        for name in values:
            if name in scales:
                levels[name] = _Levels(f"{name}.levels", scales[name])
                names[name] = f"{name}.rounded"
                draft.add("QuantizeLinear", levels[name].name, name, *_parameters(scales[name]))
                draft.add("DequantizeLinear", names[name], levels[name].name, *_parameters(scales[name]))

    quantize_if_asked(*(value.name for value in graph.inputs))
    for node in graph.nodes:
        read, written = node.inputs[0], node.outputs[0]
        known = levels.get(read)
        factor = _factor_on_levels(node, graph, known.scale.zero_point == 0) if known else None
        if known and factor:
            name = known.name
            if node.op in _ON_LEVELS:
                name = draft.add(node.op, f"{written}.levels", name, **node.attributes)
            levels[written] = _Levels(name, replace(known.scale, scale=known.scale.scale * factor))
            draft.add("DequantizeLinear", written, name, *_parameters(levels[written].scale))
            continue
        tensors: Sequence[str] = node.inputs[1:]
        if known and _is_product(node):
            tensors = _quantize_tensors(draft, tensors, known.scale.scale)
        inputs = (names.get(read, read), *(names.get(name, name) for name in tensors))
        draft.nodes.append(replace(node, inputs=inputs))
        quantize_if_asked(*node.outputs)
    return replace(graph, nodes=tuple(draft.nodes), initializers=draft.initializers)


def quantize_weight(
    weight: NDArray[np.float32], least_scale: NDArray[np.float32] | float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(int8 of the same shape, -127 to 127; float32 (out,), each output's scale): the largest weight of each stays.

    `least_scale` (out,): what scales are not to be below.
    """
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    scale: NDArray[np.float32] = np.maximum(largest / np.float32(_LARGEST), least_scale).astype(np.float32)
    scale[scale == 0] = 1  # of outputs without weights
    whole = np.rint(weight / scale.reshape(-1, *(1,) * (weight.ndim - 1)))
    return whole.astype(np.int8), scale


def _quantize_tensors(draft: Draft, tensors: Sequence[str], read_scale: float) -> list[str]:
    """The names of what a product reads in place of its weight and its bias, whose scale is that of its sums."""
    weight, bias = tensors
    values = draft.initializers[bias]
    # Where training has let all weights of an output fade away, its bias decides the scale: it must not overflow.
    least_scale = (np.abs(values) / (_LARGEST_SUM * read_scale)).astype(np.float32)
    whole, scale = quantize_weight(draft.initializers[weight], least_scale)
    sum_scale = (scale * np.float64(read_scale)).astype(np.float32)
    draft.initializers[weight], draft.initializers[weight + SCALE] = whole, scale
    draft.initializers[bias] = np.rint(values / sum_scale).astype(np.int32)
    draft.initializers[bias + SCALE] = sum_scale
    # Zero points are said, though they are zero: without them ONNX Runtime multiplies matrices in floats.
    names = []
    for name in (weight, bias):
        zero_points = np.zeros(len(scale), draft.initializers[name].dtype)
        names.append(draft.add("DequantizeLinear", f"{name}.rounded", name, name + SCALE, zero_points, axis=0))
    return names


def _parameters(scale: UInt8Scale) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array(scale.scale, np.float32), np.array(scale.zero_point, np.uint8)


def _is_product(node: Node) -> bool:
    """Is the node a row with a weight and a bias of its own, in one piece?"""
    return node.op in _PRODUCTS and node.inputs[1:] == tuple(f"{node.outputs[0]}{end}" for end in (".weight", ".bias"))


def _factor_on_levels(node: Node, graph: Graph, is_positive: bool) -> float | None:
    """By what `node` multiplies the scale of the levels that it reads, if it can work on them; they stay as they are.

    `is_positive`: none of them stands for less than zero.
    """
    if node.op in (*_ON_LEVELS, "Identity") or (node.op == "Relu" and is_positive):
        return 1.0
    factor = graph.initializers.get(node.inputs[-1])
    return float(factor) if node.op == "Mul" and factor is not None and factor.ndim == 0 and factor > 0 else None


def _before_flattening(graph: Graph, name: str) -> str:
    """`name`, or what it is the flat form of: a row's value, which has a name of its own."""
    return next((node.inputs[0] for node in graph.nodes if node.outputs[0] == name and node.op == "Flatten"), name)


def _reader(graph: Graph, name: str) -> Node | None:
    """The only node that reads a value."""
    readers = [node for node in graph.nodes if name in node.inputs]
    return readers[0] if len(readers) == 1 else None
