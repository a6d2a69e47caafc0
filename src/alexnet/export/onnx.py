"""A net with its weights becomes an ONNX graph: `images` in, `logits` out, every row's value under the row's name.

The batch is free. With `uint8_input` the images are uint8 RGB crops and what the weights expect to be done to them is
part of the graph; without, they are float32 as `preprocess.normalize` gives them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import Fc
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.atomic import write_whole
from alexnet.errors import WeightsError
from alexnet.export.rows import Draft, draw_row
from alexnet.interop.onnx import Graph, Node, Value, write_graph
from alexnet.preprocess import Preprocessing, View
from alexnet.weights import Weights
from alexnet.weights.onnx import OnnxTensors, metadata_texts
from alexnet.weights.stored import where_they_lie

IMAGES, LOGITS = "images", "logits"
MEAN = f"{IMAGE}.mean"  # what is subtracted from images, a tensor of the graph
_BATCH = "N"

_FLOAT32, _UINT8 = np.dtype("<f4"), np.dtype("u1")


def onnx_model(weights: Weights, *, uint8_input: bool = False) -> bytes:
    """The content of an .onnx file that holds all of `weights`: it can be given wherever weights can.

    Raises:
        InputError: it would be over two gigabytes, which the format does not allow.
    """
    return onnx_graph(weights, uint8_input=uint8_input).serialize()


def save_graph(path: Path, graph: Graph) -> None:
    """Write a graph as an .onnx file, whole or not at all.

    Raises:
        InputError: it would be over two gigabytes, which the format does not allow.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    parts = write_graph(graph)
    with write_whole(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def onnx_graph(weights: Weights, *, uint8_input: bool = False, own_lrn: bool = True) -> Graph:
    """`weights` as a graph whose tensors are those of `weights` themselves, not copied.

    float32 `images` (N, 3, crop, crop), normalized, to float32 `logits` (N, K). With `uint8_input`: uint8 RGB.
    `own_lrn`: normalization across maps is ONNX's own operation, which every runtime knows; else a convolution and
    roots, equal to rounding.
    """
    draft, spec = Draft(own_lrn=own_lrn), weights.spec
    draft.initializers.update(where_they_lie(weights.tensors))
    for shape in measure(spec):
        inputs = [IMAGES if name == IMAGE else name for name in shape.inputs]
        x = inputs[0] if len(inputs) == 1 else draft.add("Concat", f"{shape.row.name}.inputs", *inputs, axis=1)
        draw_row(draft, shape, x)
    draft.add("Identity", LOGITS, spec.classifier.name)
    graph = Graph(
        name=spec.name,
        nodes=tuple(draft.nodes),
        initializers=draft.initializers,
        inputs=(Value(IMAGES, _FLOAT32, (_BATCH, *spec.input)),),
        outputs=(Value(LOGITS, _FLOAT32, (_BATCH, spec.num_classes)),),
        metadata=metadata_texts(weights),
    )
    return with_preprocessing(graph, weights.preprocessing) if uint8_input else graph


def uint8_graph(weights: Weights, *, own_lrn: bool = True, as_stored: bool = False) -> Graph:
    """A graph of uint8 images for `weights`: ours, or the one in their file, if they are quantized or `as_stored`.

    Raises:
        WeightsError: the graph in the file takes other images.
    """
    tensors = weights.tensors
    if not isinstance(tensors, OnnxTensors) or not (as_stored or tensors.is_quantized):
        return onnx_graph(weights, uint8_input=True, own_lrn=own_lrn)
    graph = replace(tensors.graph, inputs=(_images_of(tensors.graph, weights.spec),))
    return graph if graph.inputs[0].dtype == _UINT8 else with_preprocessing(graph, weights.preprocessing)


def with_free_mean(graph: Graph) -> Graph:
    """A graph of uint8 images that takes what it subtracts from them as a second input, `MEAN`.

    Raises:
        WeightsError: it has no tensor of that name; it is from a file that another program has written anew.
    """
    if MEAN not in graph.initializers:
        raise WeightsError(f"the graph in this file has no {MEAN}; convert the weights that it was made from again")
    tensors = {name: tensor for name, tensor in graph.initializers.items() if name != MEAN}
    mean = Value(MEAN, _FLOAT32, graph.initializers[MEAN].shape)
    return replace(graph, inputs=(*graph.inputs, mean), initializers=tensors)


def fed_arrays(
    images: NDArray[np.uint8], preprocessing: Preprocessing, view: View | None = None
) -> dict[str, NDArray[Any]]:
    """The inputs of a graph by name: uint8 crops, and the mean where every view has one of its own."""
    fed: dict[str, NDArray[Any]] = {IMAGES: np.ascontiguousarray(images)}
    return fed | {MEAN: np.ascontiguousarray(preprocessing.mean_of(view))} if preprocessing.mean_moves else fed


def preprocessing_graph(weights: Weights) -> Graph:
    """What the weights expect to be done to images, alone: uint8 RGB crops to what `preprocess.normalize` makes."""
    normalized = "normalized"
    graph = Graph(
        name="preprocessing",
        nodes=(Node("Identity", (IMAGES,), (normalized,), normalized),),
        initializers={},
        inputs=(Value(IMAGES, _FLOAT32, (_BATCH, *weights.spec.input)),),
        outputs=(Value(normalized, _FLOAT32, (_BATCH, *weights.spec.input)),),
    )
    return with_preprocessing(graph, weights.preprocessing)


def _images_of(graph: Graph, spec: Spec) -> Value:
    """The input of a graph from a file, its batch free.

    Raises:
        WeightsError: it takes other images than `spec` does, or none.
    """
    for value in graph.inputs:
        if value.name == IMAGES and value.shape[1:] == spec.input:
            return replace(value, shape=(_BATCH, *spec.input))
    raise WeightsError(f"the graph in this file takes no {IMAGES!r} of (N, {', '.join(map(str, spec.input))})")


def with_preprocessing(graph: Graph, preprocessing: Preprocessing) -> Graph:
    """A graph of normalized `images` made one of uint8 RGB crops (N, 3, crop, crop).

    The operations of `preprocess.normalize`, in its order and in float32: channel order, scale, mean, std. The mean is
    that of the central crop.
    """
    draft, (images,) = Draft(), graph.inputs
    x = IMAGES
    if preprocessing.channel_order == "BGR":
        x = draft.add("Gather", f"{IMAGE}.ordered", x, np.array([2, 1, 0]), axis=1)
    x = draft.add("Cast", f"{IMAGE}.pixels", x, to=1)
    std = np.asarray(preprocessing.std, np.float32)[:, None, None]
    draft.initializers[MEAN] = np.ascontiguousarray(preprocessing.mean_of())
    if preprocessing.scale != 1:
        x = draft.add("Mul", f"{IMAGE}.scaled", x, preprocessing.scale)
    x = draft.add("Sub", f"{IMAGE}.centred", x, MEAN)
    normalized = draft.add("Div", IMAGE, x, std) if (std != 1).any() else x
    nodes = tuple(
        replace(node, inputs=tuple(normalized if name == IMAGES else name for name in node.inputs))
        for node in graph.nodes
    )
    return replace(
        graph,
        nodes=(*draft.nodes, *nodes),
        initializers={**draft.initializers, **graph.initializers},
        inputs=(replace(images, dtype=_UINT8),),
    )


def with_outputs(graph: Graph, spec: Spec, names: Sequence[str]) -> Graph:
    """The part of a graph of `spec` that gives the named values: rows', or the logits."""
    needed, nodes = set(names), []
    for node in reversed(graph.nodes):
        if needed & set(node.outputs):
            needed |= set(node.inputs)
            nodes.append(node)
    shapes = _value_shapes(spec)
    return replace(
        graph,
        nodes=tuple(reversed(nodes)),
        initializers={name: array for name, array in graph.initializers.items() if name in needed},
        outputs=tuple(Value(name, _FLOAT32, shapes[name]) for name in names),
    )


def _value_shapes(spec: Spec) -> dict[str, tuple[int | str, ...]]:
    """The shape of every row's value and of the logits: (N, C, H, W), or (N, features) from the first fc row on."""
    shapes: dict[str, tuple[int | str, ...]] = {IMAGE: (_BATCH, *spec.input), LOGITS: (_BATCH, spec.num_classes)}
    for row in measure(spec):
        is_flat = isinstance(row.row, Fc) or len(shapes[row.inputs[0]]) == 2
        shapes[row.row.name] = (_BATCH, row.output[0]) if is_flat else (_BATCH, *row.output)
    return shapes
