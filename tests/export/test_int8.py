from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.arch.cifar import SMALL_NETS
from alexnet.arch.spec import Spec
from alexnet.engines import open_engine
from alexnet.engines.torch import TorchEngine
from alexnet.errors import DataError
from alexnet.export.int8 import quantize
from alexnet.export.onnx import save_graph
from alexnet.export.openvino import save_openvino_graph
from alexnet.weights import Weights, find_weights

# Of the largest logit, for the small net below: ours, twice what five seeds gave.
TOLERANCE = 0.04


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (24, 3, 12, 12), dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path, tiny_weights: Weights, crops: np.ndarray) -> list[Path]:
    """The int8 net as .onnx and .xml, with pixels and with normalized floats for its input."""
    paths = [tmp_path / f"{name}{suffix}" for name in ("pixels", "floats") for suffix in (".onnx", ".xml")]
    for path in paths:
        graph = quantize(
            tiny_weights,
            [crops[:16], crops[16:]],
            TorchEngine(tiny_weights, "cpu").features,
            uint8_input=path.stem == "pixels",
            own_lrn=path.suffix == ".xml",
        )
        (save_graph if path.suffix == ".onnx" else save_openvino_graph)(path, graph)
    return paths


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_every_engine_runs_the_files_and_agrees_with_the_parent(
    engine: str, files: list[Path], tiny_weights: Weights, crops: np.ndarray
) -> None:
    expected = TorchEngine(tiny_weights, "cpu").logits(crops)
    for path in files:
        logits = open_engine(engine, find_weights(path), "cpu").logits(crops)
        assert 0 < np.abs(logits - expected).max() < TOLERANCE * np.abs(expected).max()


def test_the_files_are_weights_with_all_that_travels_along(files: list[Path], tiny_weights: Weights) -> None:
    for path in files:
        found = find_weights(path)
        assert (found.spec, found.classes) == (tiny_weights.spec, tiny_weights.classes)
        assert found.preprocessing.mean_image is not None
        np.testing.assert_array_equal(found.preprocessing.mean_image, tiny_weights.preprocessing.mean_image)


def test_calibration_does_not_depend_on_chance(tiny_weights: Weights, crops: np.ndarray) -> None:
    features = TorchEngine(tiny_weights, "cpu").features
    first, second = (quantize(tiny_weights, [crops], features).serialize() for _ in range(2))
    assert first == second


def test_images_that_fill_more_of_a_range_make_larger_steps(tiny_weights: Weights, crops: np.ndarray) -> None:
    features = TorchEngine(tiny_weights, "cpu").features
    pale = (crops // 8 + 112).astype(np.uint8)
    steps = [float(quantize(tiny_weights, [each], features).initializers["relu1.levels.1"]) for each in (pale, crops)]
    assert steps[0] < steps[1]


def test_no_images_are_refused(tiny_weights: Weights) -> None:
    with pytest.raises(DataError, match="no images to calibrate on"):
        quantize(tiny_weights, [], TorchEngine(tiny_weights, "cpu").features)


@pytest.mark.parametrize("spec", SMALL_NETS, ids=lambda spec: spec.name)
def test_every_small_net_can_be_quantized(spec: Spec, weights_of: Callable[..., Weights], tmp_path: Path) -> None:
    """Unshared filters, average pools and norms stay in floats between the products."""
    weights = weights_of(spec)
    crops = np.random.default_rng(3).integers(0, 256, (16, *spec.input), dtype=np.uint8)
    reference = TorchEngine(weights, "cpu")
    expected = reference.logits(crops)
    for path, own_lrn in ((tmp_path / "net.onnx", False), (tmp_path / "net.xml", True)):
        graph = quantize(weights, [crops], reference.features, own_lrn=own_lrn)
        (save_graph if path.suffix == ".onnx" else save_openvino_graph)(path, graph)
        for engine in ("onnxruntime", "openvino") if path.suffix == ".onnx" else ("openvino",):
            difference = np.abs(open_engine(engine, find_weights(path), "cpu").logits(crops) - expected).max()
            assert difference < 2 * TOLERANCE * np.abs(expected).max()
