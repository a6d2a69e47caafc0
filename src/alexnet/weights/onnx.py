"""Weights in ONNX files: the metadata of `files.py` beside a graph that other runtimes run.

One metadata text, `alexnet`, holds the same JSON as in safetensors; the tensors are initializers under their keys. A
mean image is a text of its own, base64, because programs that rewrite a graph drop the tensors that no operation uses.
"""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.serial import spec_from_json
from alexnet.errors import WeightsError
from alexnet.interop.onnx import Graph, read_graph, read_texts
from alexnet.preprocess import canvas_size
from alexnet.weights.check import check_finite, check_shapes, list_names, tensor_shapes
from alexnet.weights.files import (
    MEAN_IMAGE,
    METADATA_KEY,
    Header,
    Weights,
    header_of,
    load_metadata,
    named_in_errors,
    read_metadata,
    write_metadata,
)
from alexnet.weights.stored import SCALE, MappedFile, StoredTensors

_PROGRAM = "an ONNX file"
_QUANTIZED = (np.int8, np.int32)


class OnnxTensors(StoredTensors):
    """The tensors of an .onnx file, and the graph that runs them."""

    def __init__(self, file: MappedFile, keys: Iterable[str], graph: Graph) -> None:
        super().__init__(file, keys, graph.initializers)
        self.graph = graph


def metadata_texts(weights: Weights) -> dict[str, str]:
    """All of `weights` but its tensors, as the metadata of an ONNX file."""
    texts = {METADATA_KEY: write_metadata(weights)}
    mean_image = weights.preprocessing.mean_image
    if mean_image is not None:
        texts[MEAN_IMAGE] = base64.b64encode(np.ascontiguousarray(mean_image, "<f4").data).decode()
    return texts


def read_onnx_weights(path: str | Path) -> Weights:
    """The weights in an .onnx file that this package wrote; its tensors stay in the file until they are wanted.

    Raises:
        WeightsError: not such a file, a part of one, one of a newer version, or tensors that are not its net's.
    """
    with named_in_errors(Path(path)):
        file = MappedFile(Path(path))
        graph, stored = _read(file)
        spec = spec_from_json(stored["spec"])
        tensors = OnnxTensors(file, tensor_shapes(spec), graph)
        check_finite(spec, tensors.stored)
        file.let_go()
        return read_metadata(stored, tensors, mean_image_of(graph.metadata, stored))


def read_onnx_header(path: str | Path) -> Header:
    """What an .onnx file says of its weights, read without them.

    Raises:
        WeightsError: as `read_onnx_weights`, but for numbers, which it does not look at.
    """
    with named_in_errors(Path(path)):
        _, stored = _read(MappedFile(Path(path)))
        return header_of(stored)


def _read(file: MappedFile) -> tuple[Graph, dict[str, Any]]:
    """(graph, checked metadata). Those come first: what the graph of another program is made of matters to nobody."""
    load_metadata(read_texts(file.content), _PROGRAM)
    graph = read_graph(file.content)
    return graph, checked_metadata(graph.metadata, graph.initializers, _PROGRAM)


def checked_metadata(texts: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], program: str) -> dict[str, Any]:
    """The metadata among a file's texts, whose tensors are among its arrays, as float32 or quantized with their scales.

    `program`: whose file it is if it is none of ours.

    Raises:
        WeightsError: metadata or tensors are missing, or are not those of a net.
    """
    stored = load_metadata(texts, program)
    spec = spec_from_json(stored["spec"])
    held = {key: arrays[key] for key in tensor_shapes(spec) if key in arrays}
    check_shapes(spec, {key: tensor.shape for key, tensor in held.items()})
    scales = {key: arrays.get(key + SCALE) for key in held}
    if wrong := [key for key, tensor in held.items() if not _is_usable(tensor, scales[key])]:
        raise WeightsError(
            f"weights of {spec.name} must be float32, or whole numbers with scales; {list_names(wrong)} are not"
        )
    return stored


def _is_usable(tensor: NDArray[Any], scale: NDArray[Any] | None) -> bool:
    if scale is None:
        return tensor.dtype == np.float32
    return tensor.dtype in _QUANTIZED and scale.dtype == np.float32 and scale.size in (1, len(tensor))


def mean_image_of(texts: Mapping[str, str], stored: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The mean image among a file's texts, float32 (3, height, width), if there is one."""
    if MEAN_IMAGE not in texts:
        return None
    pixels = np.frombuffer(base64.b64decode(texts[MEAN_IMAGE]), "<f4")
    return pixels.reshape(3, *canvas_size(stored["preprocessing"]["resize"]))
