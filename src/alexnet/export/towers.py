"""A grouped net as two towers: each half of the maps a value of its own, from one row that reads all maps to the next.

The same numbers as the grouped graph, from the same memory. OpenVINO is slow at splitting maps, and computes grouped
convolutions of whole numbers in floats; towers need neither.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.interop.onnx import Graph, Node

TOWERS = 2

# Operations on each map by itself, which LRN is not. Their inputs are split alike, but for numbers that all maps share.
_BY_MAP = {"Relu", "Tanh", "Sqrt", "Mul", "Add", "Sub", "Div", "Pow", "MaxPool", "AveragePool", "Identity"}
_BY_MAP |= {"QuantizeLinear", "DequantizeLinear"}


def split_towers(graph: Graph) -> Graph:
    """`graph` with its convolutions of two groups, and whatever else keeps two halves apart, as two towers.

    What mixes the halves, as Caffe's LRN does, is left whole, and so is a grouped convolution that reads it.
    """
    return _Split(graph).result


def tower_names(name: str) -> tuple[str, ...]:
    """What the halves of a value or tensor are called."""
    return tuple(f"{name}.tower{index}" for index in range(TOWERS))


class _Split:
    """One pass over the nodes in order. `towers`: the halves of a value by its name; it is joined if anyone asks."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.wanted = graph, _read_in_halves(graph)
        self.writers = {name: node for node in graph.nodes for name in node.outputs}
        self.tensors: dict[str, NDArray[Any]] = dict(graph.initializers)
        self.towers: dict[str, tuple[str, ...]] = {}
        self.nodes: dict[str, Node] = {}  # by their first output
        for node in graph.nodes:
            self._take(node)
        for value in graph.outputs:
            self._join(value.name)
        self.result = replace(graph, nodes=tuple(self.nodes.values()), initializers=self.tensors)

    def _take(self, node: Node) -> None:
        read, written = node.inputs[0], node.outputs[0]
        if _is_split(node) and read in self.towers:
            self._rename(self.towers[read], node.outputs)
        elif node.op == "Concat" and written in self.wanted and len(node.inputs) == TOWERS:
            self.towers[written] = tower_names(written)
            self._rename(node.inputs, self.towers[written])
        elif read in self.towers if _is_grouped(node) else node.op == "Conv" and written in self.wanted:
            self._convolve(node)
        elif node.op in _BY_MAP and read in self.towers:
            shared = [name in self.tensors and self.tensors[name].ndim == 0 for name in node.inputs]
            inputs = [
                (name,) * TOWERS if is_shared else self._cut(name)
                for name, is_shared in zip(node.inputs, shared, strict=True)
            ]
            self._add_towers(node, inputs)
        else:
            self._add(node)

    def _convolve(self, node: Node) -> None:
        read, *tensors = node.inputs
        inputs = self._cut(read) if _is_grouped(node) else (read,) * TOWERS
        self._add_towers(replace(node, attributes={**node.attributes, "group": 1}), [inputs, *map(self._cut, tensors)])

    def _add_towers(self, node: Node, inputs: list[tuple[str, ...]]) -> None:
        (written,) = node.outputs
        self.towers[written] = tower_names(written)
        for name, *read in zip(self.towers[written], *inputs, strict=True):
            self._add(replace(node, inputs=tuple(read), outputs=(name,), name=name))

    def _cut(self, name: str) -> tuple[str, ...]:
        """The names of the halves of a value or tensor."""
        if name not in self.towers:
            names = tower_names(name)
            if name in self.tensors:
                self.tensors |= zip(names, np.split(self.tensors[name], TOWERS), strict=True)
            elif _is_tensor(self.writers[name], self.graph):
                self._add_towers(self.writers[name], [self._cut(each) for each in self.writers[name].inputs])
            else:
                self._add(Node("Split", (name,), names, f"{name}.towers", {"axis": 1}))
            self.towers[name] = names
        return self.towers[name]

    def _rename(self, names: tuple[str, ...], others: tuple[str, ...]) -> None:
        for name, other in zip(names, others, strict=True):
            self._add(Node("Identity", (name,), (other,), other))

    def _add(self, node: Node) -> None:
        for name in node.inputs:
            self._join(name)
        self.nodes[node.outputs[0]] = node

    def _join(self, name: str) -> None:
        if name in self.towers and name not in self.nodes and name not in self.tensors:
            self.nodes[name] = Node("Concat", self.towers[name], (name,), name, {"axis": 1})


def _read_in_halves(graph: Graph) -> set[str]:
    """The values that are read one half at a time, by whatever is computed from them map by map."""
    wanted: set[str] = set()
    for node in reversed(graph.nodes):
        if _is_grouped(node) or _is_split(node):
            wanted.add(node.inputs[0])
        elif node.op in _BY_MAP and node.outputs[0] in wanted:
            wanted |= set(node.inputs) - graph.initializers.keys()
    return wanted


def _is_grouped(node: Node) -> bool:
    return node.op == "Conv" and node.attributes.get("group") == TOWERS


def _is_split(node: Node) -> bool:
    return node.op == "Split" and node.attributes.get("axis") == 1 and len(node.outputs) == TOWERS


def _is_tensor(node: Node, graph: Graph) -> bool:
    """Is what the node gives computed from stored tensors alone?"""
    return set(node.inputs) <= graph.initializers.keys()
