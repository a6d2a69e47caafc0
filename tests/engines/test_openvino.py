import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.engines import openvino as engine_file
from alexnet.engines.openvino import OpenVINOEngine
from alexnet.engines.torch import TorchEngine
from alexnet.errors import InputError, RunError, UnknownNameError, WeightsError
from alexnet.export.openvino import load_openvino, save_openvino
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, find_weights


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (7, 3, 12, 12), dtype=np.uint8)


@pytest.fixture(params=["memory", "file", "file of uint8"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, tiny_weights: Weights) -> Weights:
    if request.param == "memory":
        return tiny_weights
    save_openvino(tmp_path / "net.xml", tiny_weights, uint8_input="uint8" in request.param)
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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed by Linux alone")
def test_no_thread_is_bound_to_a_core(tiny_weights: Weights, images: np.ndarray) -> None:
    """Where several processes share a machine each would be bound to the same ones."""
    engine = OpenVINOEngine(tiny_weights)
    engine.logits(images)
    ours = os.sched_getaffinity(0)
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # ended meanwhile
            assert os.sched_getaffinity(int(thread.name)) == ours


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


def test_no_images_have_no_logits(opened: Weights, images: np.ndarray) -> None:
    engine = OpenVINOEngine(opened)
    assert engine.logits(images[:0]).shape == (0, 6)
    assert engine.features(images[:0], ["conv2"])["conv2"].shape[0] == 0


@pytest.mark.parametrize(
    "settings", [{"channel_order": "BGR", "mean": (1.0, 2.0, 3.0)}, {"scale": 0.1, "std": (1.0, 2.0, 3.0)}]
)
def test_a_file_of_floats_is_given_its_preprocessing(
    settings: dict[str, object], tmp_path: Path, tiny_weights: Weights, images: np.ndarray
) -> None:
    weights = replace(tiny_weights, preprocessing=Preprocessing(resize=16, crop=12, **settings))  # type: ignore[arg-type]
    save_openvino(tmp_path / "net.xml", weights)
    found = OpenVINOEngine(find_weights(tmp_path / "net.xml"), precision="fp32").logits(images)
    np.testing.assert_allclose(found, TorchEngine(weights, "cpu").logits(images), rtol=1e-4, atol=1e-4)


def test_files_that_were_replaced_are_not_mixed_with_what_was_read(
    tmp_path: Path, tiny_weights: Weights, images: np.ndarray
) -> None:
    path = tmp_path / "net.xml"
    save_openvino(path, tiny_weights)
    engine = OpenVINOEngine(find_weights(path))
    before = engine.logits(images)
    save_openvino(path, replace(tiny_weights, tensors={key: -tensor for key, tensor in tiny_weights.tensors.items()}))
    np.testing.assert_array_equal(engine.logits(images), before)
    with pytest.raises(WeightsError, match=r"net\.xml is not the file any more that was read; load the weights again"):
        engine.features(images, ["fc3"])


def test_a_model_that_openvino_refuses_is_one_line(tmp_path: Path, tiny_weights: Weights, images: np.ndarray) -> None:
    path = tmp_path / "net.xml"
    save_openvino(path, tiny_weights)
    path.write_text(path.read_text().replace('type="Convolution"', 'type="Correlation"'))
    with pytest.raises(WeightsError, match=r"OpenVINO refuses this graph: .*Correlation") as caught:
        OpenVINOEngine(find_weights(path)).logits(images)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_graph_of_other_images_is_one_line(tmp_path: Path, tiny_weights: Weights, images: np.ndarray) -> None:
    path = tmp_path / "net.xml"
    save_openvino(path, tiny_weights, uint8_input=True)
    text = path.read_text()
    assert 'shape="?,3,12,12"' in text
    path.write_text(text.replace('shape="?,3,12,12"', 'shape="?,3,?,?"'))
    with pytest.raises(WeightsError, match=r"takes no images of \(N, 3, 12, 12\)"):
        OpenVINOEngine(find_weights(path)).logits(images)


def test_a_name_that_is_not_utf8_will_do(tmp_path: Path, tiny_weights: Weights, images: np.ndarray) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.xml"))
    save_openvino(path, tiny_weights)
    assert OpenVINOEngine(find_weights(path)).logits(images).shape == (7, 6)
