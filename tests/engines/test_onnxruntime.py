import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from alexnet.engines import onnxruntime as module
from alexnet.engines.onnxruntime import OnnxRuntimeEngine
from alexnet.engines.torch import TorchEngine
from alexnet.errors import InputError, RunError, UnknownNameError, WeightsError
from alexnet.export.onnx import onnx_graph, save_graph
from alexnet.interop.onnx import Value, write_graph
from alexnet.weights import Weights, find_weights, save_weights


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 3, 12, 12), dtype=np.uint8)


@pytest.mark.parametrize("form", ["memory", "safetensors", "onnx", "onnx of uint8"])
def test_logits_are_those_of_torch_wherever_the_tensors_lie(
    form: str, tmp_path: Path, tiny_weights: Weights, images: np.ndarray
) -> None:
    weights, path = tiny_weights, tmp_path / "some where" / "tiny"
    path.parent.mkdir()
    if form == "safetensors":
        save_weights(path, tiny_weights)
        weights = find_weights(path)
    elif form != "memory":
        save_graph(path, onnx_graph(tiny_weights, uint8_input="uint8" in form))
        weights = find_weights(path)
    logits = OnnxRuntimeEngine(weights).logits(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, TorchEngine(tiny_weights).logits(images), rtol=1e-4, atol=1e-3)
    if form.startswith("onnx"):
        np.testing.assert_allclose(
            OnnxRuntimeEngine(weights, as_stored=True).logits(images), logits, rtol=1e-4, atol=1e-3
        )


def test_features_are_after_the_relu_and_pre_before_it(tiny_weights: Weights, images: np.ndarray) -> None:
    layers = ["fc3", "conv1", "fc3:pre", "relu3"]
    found, expected = (engine(tiny_weights).features(images, layers) for engine in (OnnxRuntimeEngine, TorchEngine))
    assert list(found) == layers
    for layer in layers:
        np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-4, atol=1e-3)
    with pytest.raises(UnknownNameError, match="layer 'fc9'"):
        OnnxRuntimeEngine(tiny_weights).features(images, ["fc9"])


def test_large_tensors_stay_in_their_file(
    tmp_path: Path, tiny_weights: Weights, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGE", 100)
    written = []
    monkeypatch.setattr(
        module, "write_graph", lambda *args, **kwargs: written.append(write_graph(*args, **kwargs)) or written[-1]
    )
    save_weights(tmp_path / "w", tiny_weights)
    (tmp_path / "link").symlink_to(tmp_path / "w")
    engine = OnnxRuntimeEngine(find_weights(tmp_path / "link"))
    np.testing.assert_allclose(engine.logits(images), TorchEngine(tiny_weights).logits(images), rtol=1e-4, atol=1e-3)
    large = {key: tensor for key, tensor in tiny_weights.tensors.items() if tensor.nbytes > 100}
    content = b"".join(written[0])
    assert large
    assert not any(tensor.tobytes() in content for tensor in large.values())


def test_sessions_are_kept(tiny_weights: Weights, images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(module, "open_session", lambda graph, weights: opened.append(graph) or _Echo())
    engine = OnnxRuntimeEngine(tiny_weights)
    for _ in range(2):
        engine.logits(images)
        engine.features(images, ["fc3"])
    assert [[value.name for value in graph.outputs] for graph in opened] == [["logits"], ["relu3"]]


class _Echo:
    def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return list(inputs.values())


def test_a_batch_that_does_not_fit_is_one_line(tiny_weights: Weights, images: np.ndarray, monkeypatch) -> None:
    class Full:
        def run(self, names: None, inputs: dict[str, np.ndarray]) -> None:
            raise module.states.RuntimeException("Failed to allocate memory for requested buffer of size 1\nmore")

    monkeypatch.setattr(module, "open_session", lambda graph, weights: Full())
    with pytest.raises(RunError, match="5 images at a time do not fit into the memory; use a smaller batch"):
        OnnxRuntimeEngine(tiny_weights).logits(images)


def test_it_computes_in_float32_alone(tiny_weights: Weights) -> None:
    with pytest.raises(InputError, match="ONNX Runtime computes in fp32 here, not in bf16"):
        OnnxRuntimeEngine(tiny_weights, precision="bf16")
    OnnxRuntimeEngine(tiny_weights, precision="fp32")


def test_a_graph_that_the_runtime_refuses_is_one_line(
    tmp_path: Path, tiny_weights: Weights, images: np.ndarray
) -> None:
    graph = onnx_graph(tiny_weights)
    odd = replace(graph.nodes[0], op="Convolution")
    save_graph(tmp_path / "w.onnx", replace(graph, nodes=(odd, *graph.nodes[1:])))
    with pytest.raises(WeightsError, match="ONNX Runtime refuses this graph") as caught:
        OnnxRuntimeEngine(find_weights(tmp_path / "w.onnx"), as_stored=True).logits(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_weights_stay_what_was_read_when_their_file_is_replaced(
    suffix: str, tmp_path: Path, tiny_weights: Weights, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As training does it, while another process opens a session for one more layer."""
    monkeypatch.setattr(module, "_LARGE", 100)
    path = tmp_path / f"w{suffix}"

    def save(weights: Weights) -> None:
        save_weights(path, weights) if suffix == ".safetensors" else save_graph(path, onnx_graph(weights))

    save(tiny_weights)
    engine = OnnxRuntimeEngine(find_weights(path))
    save(replace(tiny_weights, tensors={key: -tensor for key, tensor in tiny_weights.tensors.items()}))
    expected = TorchEngine(tiny_weights).features(images, ["fc3"])["fc3"]
    np.testing.assert_allclose(engine.features(images, ["fc3"])["fc3"], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_not_utf8_will_do(tmp_path: Path, tiny_weights: Weights, images: np.ndarray) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors"))
    save_weights(path, tiny_weights)
    assert OnnxRuntimeEngine(find_weights(path)).logits(images).shape == (5, 6)


def test_a_graph_of_other_images_is_one_line(tmp_path: Path, tiny_weights: Weights) -> None:
    graph = onnx_graph(tiny_weights)
    for changes in ({"name": "pictures"}, {"shape": ("N", 3, 13, 12)}):
        save_graph(tmp_path / "w.onnx", replace(graph, inputs=(replace(graph.inputs[0], **changes),)))
        with pytest.raises(WeightsError, match=r"takes no 'images' of \(N, 3, 12, 12\)"):
            OnnxRuntimeEngine(find_weights(tmp_path / "w.onnx"), as_stored=True)


def test_a_graph_may_have_been_given_a_batch_and_tensors_as_inputs(
    tmp_path: Path, tiny_weights: Weights, images: np.ndarray
) -> None:
    graph = onnx_graph(tiny_weights)
    bias = tiny_weights.tensors["fc4.bias"]
    inputs = (Value("fc4.bias", bias.dtype, bias.shape), replace(graph.inputs[0], shape=(1, 3, 12, 12)))
    save_graph(tmp_path / "w.onnx", replace(graph, inputs=inputs))
    found = OnnxRuntimeEngine(find_weights(tmp_path / "w.onnx"), as_stored=True).logits(images)
    np.testing.assert_allclose(found, TorchEngine(tiny_weights).logits(images), rtol=1e-4, atol=1e-3)
