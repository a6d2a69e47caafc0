"""OpenVINO as an engine, without torch: on the CPU, in bfloat16 where the processor multiplies that, else in float32,
and in whole numbers where the weights are.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.cores import usable_cores
from alexnet.engines import AUTO, Features, Precision, features_by_rows, only_cpu
from alexnet.engines.signals import kept_signal_stack
from alexnet.errors import InputError, RunError, WeightsError
from alexnet.export.onnx import LOGITS, MEAN, fed_arrays, preprocessing_graph, uint8_graph, with_outputs
from alexnet.export.openvino import load_openvino, to_openvino
from alexnet.export.towers import tower_names
from alexnet.preprocess import View
from alexnet.weights import Weights
from alexnet.weights.openvino import OpenVINOTensors

_BF16 = "bf16"
_NAMES = {"fp32": "f32", _BF16: _BF16}  # of precisions: ours and OpenVINO's


class _Compiled(NamedTuple):
    """A request that can be run again and again, and of how many outputs each value is made."""

    request: Any
    num_parts: tuple[int, ...]


class OpenVINOEngine:
    """A net ready to run, compiled for each set of outputs asked for. Calls from several threads take turns.

    Batches may be of any size; a size that comes for the first time costs some milliseconds.

    Raises:
        InputError: a device or precision that it has not.
        WeightsError: OpenVINO refuses the graph in a file, or another file has taken its place.
    """

    name = "openvino"

    def __init__(self, weights: Weights, device: str = AUTO, precision: Precision = "auto") -> None:
        only_cpu("OpenVINO", device)
        self._weights, self._lock = weights, Lock()
        with kept_signal_stack():
            self._core = load_openvino().Core()
            self._settings = _settings(self._core, precision)  # the first question brings the CPU's part of it
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def logits(self, images: NDArray[np.uint8], view: View | None = None) -> NDArray[np.float32]:
        """uint8 (N, 3, crop, crop) to float32 (N, K)."""
        (logits,) = self._run((LOGITS,), images, view)
        return logits

    def features(self, images: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """uint8 (N, 3, crop, crop) to float32 (N, ...) by layer.

        Raises:
            InputError: a layer that an OpenVINO file leaves out, because its logits do not need it.
        """
        return features_by_rows(self._weights.spec, layers, lambda rows: self._run(rows, images))

    def _run(
        self, names: tuple[str, ...], images: NDArray[np.uint8], view: View | None = None
    ) -> list[NDArray[np.float32]]:
        if not len(images):  # which it has no shapes for
            return [found[:0] for found in self._run(names, np.zeros((1, *images.shape[1:]), np.uint8))]
        with self._lock:
            if names not in self._compiled:
                self._compiled[names] = self._compile(names)
            request, num_parts = self._compiled[names]
            fed = fed_arrays(images, self._weights.preprocessing, view)
            try:
                outputs = request.infer(fed, share_inputs=True)
            except RuntimeError as error:
                if "alloc" not in str(error):
                    raise
                raise RunError(f"{len(images)} images do not fit into the memory; use a smaller batch") from None
        parts = iter(outputs.values())
        return [_joined([next(parts) for _ in range(count)]) for count in num_parts]

    def _compile(self, names: tuple[str, ...]) -> _Compiled:
        try:
            with kept_signal_stack():
                model, num_parts = self._model(names)
                if self._weights.preprocessing.mean_moves:
                    _free_mean(model)
                compiled = self._core.compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            if "alloc" in str(error):
                raise
            raise WeightsError(f"OpenVINO refuses this graph: {str(error).strip().splitlines()[-1]}") from None
        return _Compiled(compiled.create_infer_request(), num_parts)

    def _model(self, names: tuple[str, ...]) -> tuple[Any, tuple[int, ...]]:
        tensors = self._weights.tensors
        if not isinstance(tensors, OpenVINOTensors):
            graph = with_outputs(uint8_graph(self._weights), self._weights.spec, names)
            return to_openvino(graph), (1,) * len(names)
        if tensors.file.is_replaced:
            raise WeightsError(f"{tensors.xml} is not the file any more that was read; load the weights again")
        model, num_parts = _cut(self._core.read_model(tensors.xml), names, tensors.xml)
        return _of_uint8(model, self._weights), num_parts


def _of_uint8(model: Any, weights: Weights) -> Any:
    """A file's model that takes uint8 crops: by itself, or with the preprocessing before it.

    Raises:
        WeightsError: it takes something else.
    """
    images, *others = model.get_parameters()
    expected = [None, *weights.spec.input]
    if others or [None if side.is_dynamic else side.get_length() for side in images.get_partial_shape()] != expected:
        raise WeightsError(f"the graph in this file takes no images of (N, {', '.join(map(str, weights.spec.input))})")
    if images.get_element_type().to_dtype() == np.uint8:
        return model
    before = to_openvino(preprocessing_graph(weights))
    for reader in images.output(0).get_target_inputs():
        reader.replace_source_output(before.get_results()[0].input_value(0))
    return load_openvino().Model(model.get_results(), before.get_parameters(), model.get_friendly_name())


def _free_mean(model: Any) -> None:
    """Make what the model subtracts from images a second input, `MEAN`.

    Raises:
        WeightsError: it has no tensor of that name.
    """
    tensor = next((node for node in model.get_ordered_ops() if node.get_friendly_name() == MEAN), None)
    if tensor is None or tensor.get_type_name() != "Constant":
        raise WeightsError(f"the graph in this file has no {MEAN}; convert the weights that it was made from again")
    mean = load_openvino().opset13.parameter(tensor.get_output_shape(0), np.float32, name=MEAN)
    mean.output(0).set_names({MEAN})
    tensor.output(0).replace(mean.output(0))
    model.add_parameters([mean])


def _cut(model: Any, names: Sequence[str], path: Path) -> tuple[Any, tuple[int, ...]]:
    """The part of a file's model that gives the named values, and of how many outputs each is made (its towers').

    Raises:
        InputError: the model has no such value.
    """
    held = {name: output for node in model.get_ordered_ops() for output in node.outputs() for name in output.names}
    found = []
    for name in names:
        parts = next((each for each in ((name,), tower_names(name)) if held.keys() >= set(each)), None)
        if parts is None:
            raise InputError(f"{path} leaves out {name}; ask for another layer, or give the weights as .safetensors")
        found.append([held[part] for part in parts])
    outputs = [output for parts in found for output in parts]
    return load_openvino().Model(outputs, model.get_parameters(), model.get_friendly_name()), tuple(map(len, found))


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _settings(core: Any, precision: Precision) -> dict[str, Any]:
    """One batch at a time, on all cores: the least time for one image, and no less a rate in large batches."""
    is_able = _BF16.upper() in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == _BF16 and not is_able:
        raise InputError("this processor does not multiply in bf16; use auto or fp32")
    chosen = (_BF16 if is_able else "fp32") if precision == AUTO else precision
    return {
        "INFERENCE_PRECISION_HINT": _NAMES[chosen],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "ENABLE_CPU_PINNING": False,  # else processes that share a machine all sit on its first cores
    }
