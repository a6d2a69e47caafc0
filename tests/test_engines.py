"""Which engine is opened, and that all of them agree on real photographs."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import alexnet.engines as engines
from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.engines import ENGINES, TOLERANCES, Engine, Precision, choose_engine, choose_reference, open_engine
from alexnet.engines.torch import TorchEngine
from alexnet.errors import InputError, MissingExtraError, UnknownNameError
from alexnet.export.openvino import load_openvino
from alexnet.nn import build
from alexnet.preprocess import Preprocessing, extract_views, open_image, resize_image
from alexnet.weights import Weights, save_weights

LAYERS = ["pool1", "conv5", "fc7", "fc7:pre"]


@pytest.fixture(scope="module", params=["krizhevsky-145", "one-weird-trick"])
def weights(request: pytest.FixtureRequest) -> Weights:
    """A net with narrow fc6 and fc7. Initial weights are drawn wider, or its logits were hardly more than biases."""
    spec = find(request.param, num_classes=12)
    spec = spec.with_rows({name: replace(spec[name], out_features=512) for name in ("fc6", "fc7")})
    preprocessing = Preprocessing(mean_image=np.full((3, 256, 256), 118, np.float32))
    if request.param == "one-weird-trick":
        preprocessing = Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    tensors = {key: 2.5 * tensor.numpy() for key, tensor in build(spec, seed=0).state_dict().items()}
    return Weights(spec=spec, classes=unnamed_classes(12), preprocessing=preprocessing, tensors=tensors)


@pytest.fixture(scope="module")
def crops(test_data: Path) -> np.ndarray:
    """Central crops of photographs, uint8 (N, 3, 224, 224)."""
    photos = sorted((test_data / "imagenet-samples").rglob("*.JPEG"))[::16]
    canvases = np.stack([resize_image(open_image(photo), 256, "bilinear") for photo in photos])
    return extract_views(canvases, 224, "center")[0]


@pytest.fixture(scope="module")
def reference(weights: Weights) -> Engine:
    return TorchEngine(weights, "cpu")


def assert_within(tolerance: float, found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(("name", "precision"), TOLERANCES)
def test_engines_agree_on_photographs(
    name: str, precision: Precision, weights: Weights, crops: np.ndarray, reference: Engine
) -> None:
    pytest.importorskip(ENGINES[name].package)
    if (name, precision) == ("openvino", "bf16"):
        capabilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in capabilities:
            pytest.skip("this processor does not multiply in bf16, which OpenVINO then refuses")
    engine, tolerance = open_engine(name, weights, "cpu", precision), TOLERANCES[name, precision]
    assert_within(tolerance, engine.logits(crops), reference.logits(crops))
    found, expected = engine.features(crops[:2], LAYERS), reference.features(crops[:2], LAYERS)
    assert list(found) == LAYERS
    for layer in LAYERS:
        assert_within(tolerance, found[layer], expected[layer])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which packages are there, and that there is no accelerator."""

    def installed(*packages: str) -> None:
        monkeypatch.setattr(engines, "is_installed", lambda package: package in packages)
        monkeypatch.setattr(engines, "_has_accelerator", lambda: False)

    return installed


def test_auto_takes_the_fastest_that_is_installed(installed: Callable[..., None]) -> None:
    installed("torch", "onnxruntime", "openvino")
    assert choose_engine() == "openvino"
    assert choose_reference() == "torch"
    installed("torch", "onnxruntime")
    assert choose_engine() == choose_engine("cpu") == "onnxruntime"
    installed("torch")
    assert choose_engine() == "torch"
    installed("onnxruntime")
    assert choose_reference() == "onnxruntime"
    installed("openvino")
    assert choose_reference() == "openvino"
    installed()
    assert choose_reference() == "onnxruntime"  # the smallest to ask for


def test_auto_takes_torch_for_an_accelerator(installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    installed("torch", "onnxruntime")
    assert choose_engine("cuda") == "torch"
    monkeypatch.setattr(engines, "_has_accelerator", lambda: True)
    assert (choose_engine(), choose_engine("cpu")) == ("torch", "onnxruntime")
    installed("onnxruntime")
    monkeypatch.setattr(engines, "_has_accelerator", lambda: True)
    assert choose_engine() == "onnxruntime"


def test_auto_takes_none_that_lacks_the_precision(installed: Callable[..., None]) -> None:
    installed("torch", "onnxruntime")
    assert choose_engine("cpu", "bf16") == "torch"
    installed("onnxruntime")
    assert choose_engine("cpu", "fp32") == "onnxruntime"
    with pytest.raises(MissingExtraError, match=r"OpenVINO .* for bf16 .*alexnet\[openvino\]"):
        choose_engine("cpu", "bf16")


def test_without_any_engine_the_smallest_is_named(installed: Callable[..., None]) -> None:
    installed()
    with pytest.raises(MissingExtraError, match=r"ONNX Runtime .*alexnet\[onnx\]"):
        choose_engine()


@pytest.mark.parametrize("name", ENGINES)
def test_a_missing_engine_is_named_with_its_extra(
    name: str, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ENGINES[name]
    monkeypatch.delitem(sys.modules, home.module, raising=False)
    for loaded in [each for each in sys.modules if each.split(".")[0] == home.package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, home.package, None)
    with pytest.raises(MissingExtraError) as caught:
        open_engine(name, tiny_weights)
    assert home.product in str(caught.value)
    assert f"alexnet[{home.extra}]" in str(caught.value)


def test_a_misspelled_engine_is_told_from_the_others(tiny_weights: Weights) -> None:
    with pytest.raises(UnknownNameError, match="unknown engine 'torhc'; did you mean torch"):
        open_engine("torhc", tiny_weights)


@pytest.mark.parametrize("name", ENGINES)
def test_a_precision_that_nobody_knows_is_refused(name: str, tiny_weights: Weights) -> None:
    with pytest.raises(UnknownNameError, match="unknown precision 'fp16'; did you mean bf16 or fp32"):
        open_engine(name, tiny_weights, precision="fp16")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engines_for_the_cpu_refuse_other_devices(name: str, tiny_weights: Weights) -> None:
    pytest.importorskip(name)
    with pytest.raises(InputError, match="runs on the CPU here, not on 'cuda'; use --engine torch"):
        open_engine(name, tiny_weights, "cuda")


def test_the_small_engine_loads_no_torch(tmp_path: Path, tiny_weights: Weights) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny_weights)
    code = (
        "import sys; from alexnet.predict import load; from alexnet.weights import probe_view; "
        f"found = load({str(path)!r}, 'onnxruntime'); found.engine.logits(probe_view(found.preprocessing)); "
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_torch_is_an_extra_and_an_import_error() -> None:
    script = """
import sys
sys.modules["torch"] = None
import alexnet
for use in (lambda: alexnet.create("digits"), lambda: __import__("alexnet.nn")):
    try:
        use()
    except ImportError as error:
        assert isinstance(error, alexnet.AlexNetError)
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["PyTorch is needed for this; install it with: pip install 'alexnet[train]'"] * 2
