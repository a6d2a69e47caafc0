from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from alexnet.arch import find
from alexnet.arch.rows import Conv
from alexnet.arch.spec import Spec
from alexnet.export.int8 import quantize
from alexnet.export.onnx import onnx_graph, with_outputs
from alexnet.export.towers import split_towers, tower_names
from alexnet.interop.onnx import Graph
from alexnet.weights import Weights


def small(spec: Spec) -> Spec:
    """With an eighth of the maps, for images of 67 pixels."""
    rows = {row.name: replace(row, out_channels=row.out_channels // 8) for row in spec.rows if isinstance(row, Conv)}
    return spec.with_rows(rows).with_input(67)


def run(graph: Graph, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    logits: np.ndarray = onnxruntime.InferenceSession(graph.serialize(), options).run(None, {"images": images})[0]
    return logits


@pytest.fixture(params=["krizhevsky-145", "paper-2012", "caffe", "digits", "krizhevsky-145+no-talk"])
def weights(request: pytest.FixtureRequest, weights_of: Callable[..., Weights]) -> Weights:
    spec = find(request.param, num_classes=4)
    return weights_of(spec if request.param == "digits" else small(spec))


@pytest.fixture
def images(weights: Weights) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 60, (2, *weights.spec.input)).astype(np.float32)


@pytest.mark.parametrize("own_lrn", [True, False])
def test_towers_give_the_logits_of_the_grouped_net(weights: Weights, images: np.ndarray, own_lrn: bool) -> None:
    graph = onnx_graph(weights, own_lrn=own_lrn)
    towers = split_towers(graph)
    expected = run(graph, images)
    np.testing.assert_allclose(run(towers, images), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    grouped = [node.name for node in towers.nodes if node.attributes.get("group", 1) == 2]
    mixed = own_lrn and weights.spec.name in {"caffe", "digits"}  # whose first LRN reads both halves
    assert grouped == (["conv2"] if mixed else [])


def test_quantized_towers_too(weights: Weights, images: np.ndarray) -> None:
    from alexnet.engines.torch import TorchEngine

    crops = np.clip(images + 120, 0, 255).astype(np.uint8)
    graph = quantize(weights, [crops], TorchEngine(weights, "cpu").features)
    expected = run(graph, images)
    assert np.abs(run(split_towers(graph), images) - expected).max() < 0.02 * np.abs(expected).max()


def test_a_value_asked_for_is_joined(weights: Weights, images: np.ndarray) -> None:
    for name in ("conv2", "norm1", "relu2"):
        graph = with_outputs(onnx_graph(weights), weights.spec, [name])
        np.testing.assert_allclose(run(split_towers(graph), images), run(graph, images), rtol=1e-4, atol=1e-4)


def test_towers_hold_the_memory_of_the_grouped_tensors(weights_of: Callable[..., Weights]) -> None:
    weights = weights_of(small(find("krizhevsky-145", num_classes=4)))
    towers = split_towers(onnx_graph(weights))
    for name in tower_names("conv2.weight"):
        assert np.shares_memory(towers.initializers[name], weights.tensors["conv2.weight"])


def test_a_net_without_groups_stays_as_it_is(weights_of: Callable[..., Weights]) -> None:
    graph = onnx_graph(weights_of(find("cifar-18pct")))
    assert split_towers(graph) == graph
