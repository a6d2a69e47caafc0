"""What every engine subtracts from a view: of a mean image that moves with it, the part that lies under it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data.splits import ArraySplit
from alexnet.engines import ENGINES, Engine, open_engine
from alexnet.errors import WeightsError
from alexnet.evaluate import evaluate
from alexnet.export.onnx import MEAN, onnx_graph, save_graph
from alexnet.metrics import softmax
from alexnet.nn import assemble
from alexnet.predict import Classifier, load
from alexnet.preprocess import Preprocessing, View, normalize
from alexnet.weights import Weights, find_weights, save_weights

FIVE = [(0, 0), (0, 7), (2, 3), (4, 0), (4, 7)]  # top and left of crops of 12 on canvases of 16 x 19


@pytest.fixture
def moving(tiny_weights: Weights) -> Weights:
    """With a mean image of which no two parts are alike, blue first and scaled, as Caffe has them."""
    image = np.random.default_rng(3).uniform(0, 0.25 * 255, (3, 16, 19)).astype(np.float32)
    way = Preprocessing(resize=(16, 19), crop=12, channel_order="BGR", scale=0.25, mean_image=image, mean_crop="view")
    return replace(tiny_weights, preprocessing=way)


@pytest.fixture
def canvases() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (3, 3, 16, 19), np.uint8)


def by_caffes_rule(weights: Weights, canvases: np.ndarray, *, views: int = 10) -> np.ndarray:
    """Scaled, less the mean of each place, then cut, then mirrored; the net in torch alone, the probabilities' mean."""
    assert weights.preprocessing.mean_image is not None
    whole = canvases[:, ::-1] * np.float32(0.25) - weights.preprocessing.mean_image
    cuts = [whole[:, :, top : top + 12, left : left + 12] for top, left in FIVE]
    cuts = [*cuts, *(cut[..., ::-1] for cut in cuts)] if views == 10 else [cuts[2]]
    net = assemble(weights.spec, {key: torch.from_numpy(tensor) for key, tensor in weights.tensors.items()}).eval()
    with torch.inference_mode():
        return np.mean([softmax(net(torch.from_numpy(cut.copy())).numpy()) for cut in cuts], axis=0)


def classifier(name: str, weights: Weights) -> Classifier:
    pytest.importorskip(ENGINES[name].package)
    return load(weights, name, device="cpu", precision="fp32")


@pytest.mark.parametrize("name", ENGINES)
def test_ten_views_are_less_what_lies_under_them(name: str, moving: Weights, canvases: np.ndarray) -> None:
    found, expected = classifier(name, moving), by_caffes_rule(moving, canvases)
    np.testing.assert_allclose(found.probabilities(canvases, "ten"), expected, rtol=1e-4, atol=1e-6)
    center = by_caffes_rule(moving, canvases, views=1)
    np.testing.assert_allclose(found.probabilities(canvases), center, rtol=1e-4, atol=1e-6)
    fixed = classifier(name, replace(moving, preprocessing=replace(moving.preprocessing, mean_crop="center")))
    np.testing.assert_allclose(fixed.probabilities(canvases), center, rtol=1e-4, atol=1e-6)
    assert np.abs(fixed.probabilities(canvases, "ten") - expected).max() > 1e-3


def test_pictures_and_data_sets_are_seen_so(moving: Weights, canvases: np.ndarray) -> None:
    """What `predict` and `evaluate` do with ten views, of pictures that are as large as the canvas."""
    found, expected = classifier("torch", moving), by_caffes_rule(moving, canvases)
    pictures, labels = canvases.transpose(0, 2, 3, 1), np.array([0, 3, 5])
    (best,) = found.predict(Image.fromarray(pictures[0]), top=1, views="ten")
    assert (best.index, best.probability) == (expected[0].argmax(), pytest.approx(expected[0].max(), rel=1e-4))
    measured = evaluate([found], ArraySplit(pictures, labels, ["a", "b", "c"]), found.classes, views="ten")
    assert measured.loss == pytest.approx(-np.log(expected[range(3), labels]).mean(), rel=1e-4)


def stored_safetensors(weights: Weights, path: Path) -> Path:
    save_weights(path.with_suffix(".safetensors"), weights)
    return path.with_suffix(".safetensors")


def stored_onnx(weights: Weights, path: Path) -> Path:
    save_graph(path.with_suffix(".onnx"), onnx_graph(weights, uint8_input=True))
    return path.with_suffix(".onnx")


def stored_openvino(weights: Weights, path: Path, *, uint8_input: bool = True) -> Path:
    pytest.importorskip("openvino")
    from alexnet.export.openvino import save_openvino

    save_openvino(path.with_suffix(".xml"), weights, uint8_input=uint8_input)
    return path.with_suffix(".xml")


def as_stored(weights: Weights) -> Engine:
    pytest.importorskip("onnxruntime")
    from alexnet.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(weights, as_stored=True)


@pytest.mark.parametrize(
    ("store", "open_stored"),
    [
        (stored_safetensors, lambda weights: open_engine("torch", weights, "cpu")),
        (stored_onnx, as_stored),
        (stored_openvino, lambda weights: open_engine("openvino", weights, "cpu", "fp32")),
        (
            lambda weights, path: stored_openvino(weights, path, uint8_input=False),
            lambda weights: open_engine("openvino", weights, "cpu", "fp32"),
        ),
    ],
)
def test_files_keep_it_and_their_graphs_do_it(
    store: Callable[[Weights, Path], Path],
    open_stored: Callable[[Weights], Engine],
    moving: Weights,
    canvases: np.ndarray,
    tmp_path: Path,
) -> None:
    weights = find_weights(store(moving, tmp_path / "net"))
    assert weights.preprocessing == moving.preprocessing
    found = Classifier(weights=weights, engine=open_stored(weights)).probabilities(canvases, "ten")
    np.testing.assert_allclose(found, by_caffes_rule(moving, canvases), rtol=1e-4, atol=1e-6)


def test_a_graph_without_its_mean_is_refused(moving: Weights, tmp_path: Path) -> None:
    """Such as one that another program has written anew, under names of its own."""
    pytest.importorskip("onnxruntime")
    graph = onnx_graph(moving, uint8_input=True)
    nodes = [
        replace(node, inputs=tuple("other" if name == MEAN else name for name in node.inputs)) for node in graph.nodes
    ]
    tensors = {"other" if name == MEAN else name: tensor for name, tensor in graph.initializers.items()}
    save_graph(tmp_path / "net.onnx", replace(graph, nodes=tuple(nodes), initializers=tensors))
    with pytest.raises(WeightsError, match=r"has no image\.mean; convert the weights that it was made from again"):
        as_stored(find_weights(tmp_path / "net.onnx"))


def test_normalize_is_told_the_view(moving: Weights, canvases: np.ndarray) -> None:
    image = moving.preprocessing.mean_image
    assert image is not None
    found = normalize(canvases[:, :, 4:16, 0:12][..., ::-1], moving.preprocessing, View(4, 0, True))
    expected = (canvases[:, ::-1] * np.float32(0.25) - image)[:, :, 4:16, 0:12][..., ::-1]
    np.testing.assert_array_equal(found, expected)
