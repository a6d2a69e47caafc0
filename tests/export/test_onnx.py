"""The graph against its twin, the torch module; and against the standard's own checker and reference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
import torch

from alexnet.arch import NETS, find
from alexnet.arch.rows import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Dropout,
    Fc,
    Local,
    Lrn,
    MaxPool,
    Relu,
    SameMapNorm,
    Softmax,
    Tanh,
)
from alexnet.arch.spec import Spec
from alexnet.export.onnx import onnx_graph, onnx_model, save_graph, with_outputs
from alexnet.interop.onnx import Graph
from alexnet.nn.build import assemble
from alexnet.preprocess import Preprocessing, normalize
from alexnet.weights import Weights

ABLATED = ("krizhevsky-145+no-talk", "krizhevsky-145+half", "caffe+no-overlap+tanh", "one-weird-trick+without-conv4")

# Every kind of row with settings that no named net has.
ODD_ROWS = (
    Conv("conv1", 8, 5, stride=3, padding=1, rounding="ceil"),
    Lrn("even_norm", size=4, beta=0.5, groups=2),
    Lrn("plain_norm", size=3, alpha=0.3, k=0.5, alpha_over_size=False),
    MaxPool("pool1", 3, 2),
    SameMapNorm("even_square", size=2, alpha=0.2),
    SameMapNorm("square", size=3, alpha=0.2, beta=0.6),
    Tanh("tanh1"),
    Conv("left", 4, 3, padding=1, inputs=("tanh1",)),
    Conv("right", 4, 1, inputs=("tanh1",)),
    Local("local2", 6, 2, stride=2, rounding="ceil", inputs=("left", "right")),
    AvgPool("pool2", 2, 2),
    AdaptiveAvgPool("pool3", 2),
    Dropout("drop3", 0.3, scale_at="train"),
    Fc("fc4", 8, groups=2),
    Relu("relu4"),
    Dropout("drop4", 0.25),
    Fc("fc5", 4),
    Softmax("prob"),
)
ODD = Spec(name="odd", source="a test", input=(3, 33, 33), rows=ODD_ROWS)


def torch_values(weights: Weights, images: np.ndarray, rows: list[str]) -> list[np.ndarray]:
    net = assemble(weights.spec, {key: torch.from_numpy(tensor) for key, tensor in weights.tensors.items()}).eval()
    with torch.no_grad():
        found = net.features(torch.from_numpy(images), [f"{row}:pre" for row in rows])
    return [tensor.numpy() for tensor in found.values()]


def run(graph: Graph, images: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2  # warnings are shown
    return onnxruntime.InferenceSession(graph.serialize(), options).run(None, {"images": images})


def images_for(weights: Weights, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *weights.spec.input), dtype=np.uint8)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0.01
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("net", [*NETS, *ABLATED])
def test_every_net_answers_as_its_module_does(net: str, weights_of: Callable[..., Weights]) -> None:
    weights = weights_of(find(net, num_classes=7), scale=0.01, mean=(1.2, 1.0, 0.8))
    images = images_for(weights)
    [expected] = torch_values(weights, normalize(images, weights.preprocessing), [weights.spec.classifier.name])
    graph = onnx_graph(weights, uint8_input=True)
    onnx.checker.check_model(onnx.load_from_string(graph.serialize()), full_check=True)
    assert_close(run(graph, images)[0], expected)
    assert_close(run(onnx_graph(weights, uint8_input=True, own_lrn=False), images)[0], expected)


@pytest.mark.parametrize("own_lrn", [True, False])
def test_every_kind_of_row_has_the_value_of_its_module(own_lrn: bool, weights_of: Callable[..., Weights]) -> None:
    weights = weights_of(ODD, scale=0.01)
    images = normalize(images_for(weights, 3), weights.preprocessing)
    rows = [row.name for row in ODD_ROWS]
    graph = with_outputs(onnx_graph(weights, own_lrn=own_lrn), weights.spec, rows)
    for row, found, expected in zip(rows, run(graph, images), torch_values(weights, images, rows), strict=True):
        assert found.shape == expected.shape, row
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=row)


def test_the_standards_own_reference_agrees(weights_of: Callable[..., Weights]) -> None:
    weights = weights_of(ODD, scale=0.01, channel_order="BGR", mean=(1.0, 0.9, 0.8), std=(2.0, 1.0, 0.5))
    images = images_for(weights, 8)  # as many as maps: the reference takes one number for the other in LRN
    [expected] = torch_values(weights, normalize(images, weights.preprocessing), ["fc5"])
    model = onnx.load_from_string(onnx_model(weights, uint8_input=True))
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert_close(onnx.reference.ReferenceEvaluator(model).run(None, {"images": images})[0], expected)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mean": (1.0, 2.0, 3.0)},
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"channel_order": "BGR", "mean": (104.0, 117.0, 123.0)},
        {
            "channel_order": "BGR",
            "mean_image": np.random.default_rng(2).uniform(0, 255, (3, 16, 16)).astype(np.float32),
        },
    ],
    ids=["nothing", "mean", "torchvision", "caffe", "mean image"],
)
def test_preprocessing_in_the_graph_is_that_of_normalize(settings: dict[str, object], tiny_weights: Weights) -> None:
    weights = replace(tiny_weights, preprocessing=Preprocessing(resize=16, crop=12, **settings))  # type: ignore[arg-type]
    images = images_for(weights, 4)
    inside = run(onnx_graph(weights, uint8_input=True), images)[0]
    outside = run(onnx_graph(weights), normalize(images, weights.preprocessing))[0]
    np.testing.assert_allclose(inside, outside, rtol=1e-6, atol=1e-5)


def test_an_image_has_the_same_logits_in_every_batch(tiny_weights: Weights) -> None:
    graph, images = onnx_graph(tiny_weights, uint8_input=True), images_for(tiny_weights, 5)
    np.testing.assert_allclose(run(graph, images[3:4])[0], run(graph, images)[0][3:4], rtol=1e-5, atol=1e-4)


def test_a_tower_never_normalizes_with_the_other(weights_of: Callable[..., Weights]) -> None:
    """As the runtime's own operation: one for each tower, and the maps at the seam differ from one for all."""
    weights = weights_of(find("krizhevsky-145", num_classes=3))
    ops = [node.op for node in onnx_graph(weights).nodes]
    assert ops.count("LRN") == 4
    together = weights_of(find("caffe", num_classes=3))
    assert [node.op for node in onnx_graph(together).nodes].count("LRN") == 2


def test_a_graph_is_cut_to_what_is_asked_for(tiny_weights: Weights) -> None:
    graph = with_outputs(onnx_graph(tiny_weights), tiny_weights.spec, ["relu2", "pool1"])
    assert [output.name for output in graph.outputs] == ["relu2", "pool1"]
    assert {node.op for node in graph.nodes} == {"Conv", "Relu", "LRN", "MaxPool"}
    assert set(graph.initializers) == {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}


def test_tensors_and_values_have_the_names_they_have_everywhere(tiny_weights: Weights) -> None:
    model = onnx.load_from_string(onnx_model(tiny_weights))
    assert {tensor.name for tensor in model.graph.initializer} >= tiny_weights.tensors.keys()
    values = {name for node in model.graph.node for name in node.output}
    assert values >= {row.name for row in tiny_weights.spec.rows}
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["images", "logits"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, tiny_weights: Weights) -> None:
    path = tmp_path / "net.onnx"
    save_graph(path, onnx_graph(tiny_weights))
    assert path.read_bytes() == onnx_model(tiny_weights)
    with pytest.raises(FileNotFoundError):
        save_graph(tmp_path / "nowhere/net.onnx", onnx_graph(tiny_weights))
    assert list(tmp_path.iterdir()) == [path]
