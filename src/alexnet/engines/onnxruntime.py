"""ONNX Runtime as an engine: on the CPU, in float32 (or int8 where the weights are), without torch.

The graph is made in memory and its tensors are left where they are: the runtime maps the weights' own file, be it
.safetensors or .onnx. Nothing is copied or packed anew, so that a net of 244 MB opens in a tenth of a second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from alexnet.cores import usable_cores
from alexnet.engines import Features, Precision, features_by_rows, only_cpu
from alexnet.errors import InputError, RunError, WeightsError
from alexnet.export.onnx import LOGITS, fed_arrays, uint8_graph, with_free_mean, with_outputs
from alexnet.interop.onnx import Graph, Place, write_graph
from alexnet.preprocess import View
from alexnet.weights import Weights
from alexnet.weights.stored import MappedFile, StoredTensors, is_quantized

_LARGE = 4096  # bytes. Ours: what is smaller the runtime may want to look at when it makes its plan (shapes, numbers)
_ERRORS_ONLY = 3
_REFUSALS = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NotImplemented)


class OnnxRuntimeEngine:
    """A net ready to run, by a graph of ours, or by the one in its file: of quantized weights, or if `as_stored`.

    A session gives what it was made for, so there is one for each set of outputs asked for.

    Raises:
        InputError: a device or precision that it has not.
        WeightsError: the runtime refuses the graph in a file.
    """

    name = "onnxruntime"

    def __init__(
        self, weights: Weights, device: str = "auto", precision: Precision = "auto", *, as_stored: bool = False
    ) -> None:
        only_cpu("ONNX Runtime", device)
        if precision not in ("auto", "fp32"):
            raise InputError(f"ONNX Runtime computes in fp32 here, not in {precision}; use --engine openvino or torch")
        self._weights = weights
        graph = uint8_graph(weights, own_lrn=False, as_stored=as_stored)
        self._graph = with_free_mean(graph) if weights.preprocessing.mean_moves else graph
        self._sessions: dict[tuple[str, ...], Any] = {}

    def logits(self, images: NDArray[np.uint8], view: View | None = None) -> NDArray[np.float32]:
        """uint8 (N, 3, crop, crop) to float32 (N, K)."""
        (logits,) = self._run((LOGITS,), images, view)
        return logits

    def features(self, images: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """uint8 (N, 3, crop, crop) to float32 (N, ...) by layer."""
        return features_by_rows(self._weights.spec, layers, lambda rows: self._run(rows, images))

    def _run(
        self, outputs: tuple[str, ...], images: NDArray[np.uint8], view: View | None = None
    ) -> list[NDArray[np.float32]]:
        if outputs not in self._sessions:
            self._sessions[outputs] = open_session(
                with_outputs(self._graph, self._weights.spec, outputs), self._weights
            )
        fed = fed_arrays(images, self._weights.preprocessing, view)
        try:
            found: list[NDArray[np.float32]] = self._sessions[outputs].run(None, fed)
        except states.RuntimeException as error:
            if "allocate" not in str(error):
                raise
            raise RunError(f"{len(images)} images at a time do not fit into the memory; use a smaller batch") from None
        return found


def open_session(graph: Graph, weights: Weights) -> Any:
    """A session for a graph with the tensors of `weights`, on all cores that this process may use.

    Raises:
        WeightsError: the runtime refuses the graph.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = usable_cores()
    tensors = weights.tensors
    # Packed anew, float32 takes its memory twice and one image no less time; int8 is seven times slower unpacked.
    options.add_session_config_entry("session.disable_prepacking", "0" if is_quantized(tensors) else "1")
    places: dict[str, Place] = {}
    if isinstance(tensors, StoredTensors) and _is_findable(tensors.file):
        file = tensors.file
        path = file.path.resolve()  # the runtime follows no link out of a folder
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
        for name, array in graph.initializers.items():
            offset = file.offset(array)
            if offset is not None and array.nbytes > _LARGE:
                places[name] = Place(path.name, offset, array.nbytes)
    content = b"".join(write_graph(graph, elsewhere=places))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        raise WeightsError(f"ONNX Runtime refuses this graph: {str(error).splitlines()[0]}") from None


def _is_findable(file: MappedFile) -> bool:
    """Does its path, which the runtime takes in UTF-8, still lead to it? Training replaces weights while others run."""
    try:
        str(file.path.resolve()).encode()
    except UnicodeEncodeError:
        return False
    return not file.is_replaced
