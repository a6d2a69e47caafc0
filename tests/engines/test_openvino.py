from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alexnet.engines import openvino as engine_file
from alexnet.engines.openvino import OpenVINOEngine
from alexnet.engines.torch import TorchEngine
from alexnet.errors import InputError, RunError, UnknownNameError
from alexnet.export.openvino import load_openvino, save_openvino
from alexnet.weights import Weights, find_weights


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (7, 3, 12, 12), dtype=np.uint8)


@pytest.fixture(params=["memory", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, tiny_weights: Weights) -> Weights:
    if request.param == "memory":
        return tiny_weights
    save_openvino(tmp_path / "net.xml", tiny_weights)
    return find_weights(tmp_path / "net.xml")


def test_logits_and_features_are_torchs(opened: Weights, tiny_weights: Weights, images: np.ndarray) -> None:
    engine, reference = OpenVINOEngine(opened, precision="fp32"), TorchEngine(tiny_weights, "cpu")
    np.testing.assert_allclose(engine.logits(images), reference.logits(images), rtol=1e-4, atol=1e-4)
    layers = ["fc3:pre", "conv1", "norm1", "conv2", "fc3", "drop3"]
    found, expected = engine.features(images, layers), reference.features(images, layers)
    assert list(found) == layers
    for layer in layers:
        assert (found[layer].dtype, found[layer].shape) == (np.float32, expected[layer].shape)
        np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-4, atol=1e-3)


def test_any_batch_size_in_any_order(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(tiny_weights, precision="fp32")
    whole = engine.logits(images)
    for size in (1, 7, 3, 1):
        np.testing.assert_allclose(engine.logits(images[:size]), whole[:size], rtol=1e-4, atol=1e-4)


def test_a_later_call_leaves_earlier_results_alone(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(tiny_weights)
    first = engine.logits(images)
    kept = first.copy()
    engine.logits(255 - images)
    np.testing.assert_array_equal(first, kept)


def test_threads_take_turns(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(tiny_weights)
    expected = engine.logits(images)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(engine.logits, [images] * 16):
            np.testing.assert_array_equal(found, expected)


def test_views_that_are_not_contiguous_are_read_right(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(tiny_weights)
    mirrored = images[..., ::-1]
    np.testing.assert_array_equal(engine.logits(mirrored), engine.logits(mirrored.copy()))


def test_bf16_is_asked_of_processors_that_have_it_only(tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        def get_property(self, *names: str) -> list[str]:
            return ["FP32", "INT8"]

    assert engine_file._settings(Plain(), "auto")["INFERENCE_PRECISION_HINT"] == "f32"
    with pytest.raises(InputError, match="does not multiply in bf16; use auto or fp32"):
        engine_file._settings(Plain(), "bf16")
    if "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert engine_file._settings(load_openvino().Core(), "auto")["INFERENCE_PRECISION_HINT"] == "bf16"


def test_what_is_not_there_is_refused_in_one_line(opened: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(opened)
    with pytest.raises(UnknownNameError, match="unknown layer 'fc33'"):
        engine.features(images, ["fc33"])
    with pytest.raises(InputError, match="runs on the CPU here, not on 'cuda'"):
        OpenVINOEngine(opened, "cuda")


def test_what_a_file_leaves_out_is_said(tmp_path: Path, tiny_weights: Weights, images: np.ndarray) -> None:
    save_openvino(tmp_path / "net.xml", tiny_weights)
    engine = OpenVINOEngine(find_weights(tmp_path / "net.xml"))
    with pytest.raises(InputError, match=r"net\.xml leaves out prob; ask for another layer"):
        engine.features(images, ["prob"])
    np.testing.assert_allclose(
        OpenVINOEngine(tiny_weights).features(images, ["prob"])["prob"].sum(axis=1), 1, rtol=1e-3
    )


def test_a_batch_that_does_not_fit_is_said(
    tiny_weights: Weights, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = OpenVINOEngine(tiny_weights)
    engine.logits(images)

    class Full:
        def infer(self, *args: object, **settings: object) -> None:
            raise RuntimeError("std::bad_alloc")

    (names,) = engine._compiled
    monkeypatch.setitem(engine._compiled, names, engine._compiled[names]._replace(request=Full()))
    with pytest.raises(RunError, match="7 images do not fit into the memory; use a smaller batch"):
        engine.logits(images)
