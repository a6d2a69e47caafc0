"""Quantized graphs against floats rounded one by one, and against the standard's own checker and reference."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest

from alexnet.arch import find
from alexnet.arch.rows import Conv, Dropout, Fc, Lrn, MaxPool, Relu, Softmax
from alexnet.arch.spec import Spec
from alexnet.export.onnx import onnx_graph
from alexnet.export.qdq import insert_quantization, quantize_weight, values_to_quantize
from alexnet.export.ranges import spanning
from alexnet.interop.onnx import Graph
from alexnet.weights import Weights


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (6, 10), (1, 1)])
def test_a_weight_moves_by_half_a_step_of_its_output_at_most(shape: tuple[int, ...]) -> None:
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32) * np.arange(1, shape[0] + 1).reshape(
        -1, *(1,) * (len(shape) - 1)
    ).astype(np.float32)
    whole, scale = quantize_weight(weight)
    steps = scale.reshape(-1, *(1,) * (len(shape) - 1))
    assert (whole.dtype, scale.dtype, scale.shape) == (np.int8, np.float32, shape[:1])
    assert np.abs(whole * steps - weight).max(axis=tuple(range(1, len(shape)))).max() <= (0.5001 * scale).max()
    assert (np.abs(whole.astype(int)).reshape(shape[0], -1).max(axis=1) == 127).all()


def test_an_output_without_weights_stays_without() -> None:
    whole, scale = quantize_weight(np.zeros((2, 3), np.float32))
    assert not whole.any()
    assert np.isfinite(scale).all()
    assert (scale > 0).all()


@pytest.mark.parametrize("faded", [0.0, 1e-30])
def test_an_output_whose_weights_have_faded_keeps_its_bias(weights_of: Callable[..., Weights], faded: float) -> None:
    rows = (Conv("conv1", 4, 3), Relu("relu1"), Fc("fc2", 4), Softmax("prob"))
    weights = weights_of(Spec(name="faded", source="a test", input=(3, 5, 5), rows=rows))
    weights.tensors["conv1.weight"][2] = faded
    weights.tensors["conv1.bias"][2] = 0.7
    graph = insert_quantization(onnx_graph(weights), {"images": spanning(-1, 1), "relu1": spanning(0, 1)})
    bias = graph.initializers["conv1.bias"] * graph.initializers["conv1.bias.scale"]
    assert bias[2] == pytest.approx(0.7, abs=2 / 255)


def test_what_is_quantized_of_the_known_nets(weights_of: Callable[..., Weights]) -> None:
    """True: a ReLU follows, so that only what is above zero counts."""
    expected = {
        "one-weird-trick": {"images": False} | {f"relu{n}": True for n in range(1, 8)},
        "krizhevsky-145": {
            **{"images": False, "conv1": False, "relu1": False, "relu2": True, "pool2": False, "relu3": True},
            **{"relu4": True, "conv5": True, "relu6": True, "relu7": True},
        },
        "cifar-18pct": {
            **{"images": False, "conv1": True, "rnorm1": False, "relu2": True, "rnorm2": False, "relu3": True},
            "pool3": False,
        },
    }
    for net, values in expected.items():
        assert values_to_quantize(onnx_graph(weights_of(find(net, num_classes=4)))) == values


ROWS = (
    Conv("conv1", 8, 3),
    MaxPool("pool1", 3, 2),
    Relu("relu1"),
    Lrn("norm1", groups=2),
    Conv("conv2", 8, 3, padding=1, groups=2),
    Relu("relu2"),
    MaxPool("pool2", 2, 2),
    Fc("fc3", 12),
    Relu("relu3"),
    Dropout("drop3", 0.25),
    Fc("fc4", 5),
    Softmax("prob"),
)


@pytest.fixture
def quantized(weights_of: Callable[..., Weights]) -> tuple[Weights, Graph, np.ndarray]:
    """Weights, their graph with plausible scales, and normalized images."""
    weights = weights_of(Spec(name="small", source="a test", input=(3, 14, 14), rows=ROWS))
    graph = onnx_graph(weights, own_lrn=False)  # the reference's LRN sums another window than the standard says
    images = np.random.default_rng(1).normal(0, 60, (3, 3, 14, 14)).astype(np.float32)
    names = values_to_quantize(graph)
    found = run(onnx_outputs(graph, [name for name in names if name != "images"]), images)
    values = {"images": images, **found}
    scales = {
        name: spanning(0 if clipped else float(values[name].min()), float(values[name].max()))
        for name, clipped in names.items()
    }
    return weights, insert_quantization(graph, scales), images


def onnx_outputs(graph: Graph, names: list[str]) -> onnx.ModelProto:
    model = onnx.load_from_string(graph.serialize())
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return model


def run(model: onnx.ModelProto, images: np.ndarray) -> dict[str, np.ndarray]:
    """By the standard's own reference, which knows how to dequantize since version 19 only."""
    model.opset_import[0].version = 21
    names = [value.name for value in model.graph.output]
    return dict(zip(names, onnx.reference.ReferenceEvaluator(model).run(None, {"images": images}), strict=True))


def test_the_standard_accepts_the_graph_and_computes_what_the_runtime_does(quantized) -> None:
    _, graph, images = quantized
    content = graph.serialize()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    [expected] = run(onnx.load_from_string(content), images).values()
    [found] = onnxruntime.InferenceSession(content).run(None, {"images": images})
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()  # a level or two in some value


def test_the_runtime_computes_every_product_in_whole_numbers(quantized, tmp_path) -> None:
    _, graph, _ = quantized
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(graph.serialize(), options)
    ops = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert ops.count("QLinearConv") == ops.count("QGemm") == 2
    assert ops.count("Conv") == 1  # the norm's
    assert not {"FusedConv", "Gemm", "FusedGemm", "MatMul"} & set(ops)


def test_weights_are_stored_as_whole_numbers_under_their_own_names(quantized) -> None:
    weights, graph, _ = quantized
    for key, tensor in weights.tensors.items():
        stored, scale = graph.initializers[key], graph.initializers[f"{key}.scale"]
        assert stored.dtype == (np.int8 if key.endswith("weight") else np.int32)
        assert scale.shape == (len(tensor),)
        restored = stored * scale.reshape(-1, *(1,) * (tensor.ndim - 1))
        assert np.abs(restored - tensor).max() <= 0.5001 * scale.max()


def test_each_value_is_the_rounded_one_of_the_rows_before(quantized) -> None:
    """The slow twin: every product in floats, of inputs and weights that were rounded by hand."""
    _, graph, images = quantized
    values = run(onnx_outputs(graph, ["images.rounded", "conv1", "pool1", "relu1", "relu3", "drop3"]), images)
    weight = graph.initializers["conv1.weight"] * graph.initializers["conv1.weight.scale"].reshape(-1, 1, 1, 1)
    bias = graph.initializers["conv1.bias"] * graph.initializers["conv1.bias.scale"]
    x = values["images.rounded"]
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    expected = np.einsum("nchwij,ocij->nohw", patches, weight) + bias.reshape(-1, 1, 1)
    np.testing.assert_allclose(values["conv1"], expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(values["relu1"], values["pool1"])  # nothing below zero is left to cut
    assert values["pool1"].min() == 0
    step = np.unique(np.round(values["drop3"][values["drop3"] > 0] / values["drop3"].max() * 255, 3))
    np.testing.assert_allclose(step, np.round(step), atol=2e-3)  # dropout changed the scale and no level
