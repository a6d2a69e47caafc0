import numpy as np
import pytest
import torch

from alexnet.engines.torch import TorchEngine, one_thread
from alexnet.errors import InputError
from alexnet.nn import build
from alexnet.preprocess import normalize
from alexnet.weights import Weights, probe_view


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 3, 12, 12), dtype=np.uint8)


def test_logits_are_those_of_the_module(tiny_weights: Weights, images: np.ndarray) -> None:
    net = build(tiny_weights.spec).eval()
    net.load_state_dict({key: torch.from_numpy(tensor) for key, tensor in tiny_weights.tensors.items()})
    with torch.no_grad():
        expected = net(torch.from_numpy(normalize(images, tiny_weights.preprocessing))).numpy()
    logits = TorchEngine(tiny_weights).logits(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-3)


def test_an_image_has_the_same_logits_in_every_batch(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = TorchEngine(tiny_weights)
    np.testing.assert_allclose(engine.logits(images[2:3]), engine.logits(images)[2:3], rtol=1e-4, atol=1e-3)


def test_features_are_after_the_relu_and_pre_before_it(tiny_weights: Weights, images: np.ndarray) -> None:
    found = TorchEngine(tiny_weights).features(images, ["conv1", "fc3", "fc3:pre"])
    assert found["conv1"].shape == (5, 8, 10, 10)
    np.testing.assert_array_equal(found["fc3"], np.maximum(found["fc3:pre"], 0))
    assert found["fc3:pre"].min() < 0
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in found.values())


def test_the_probe_tells_spoiled_weights(tiny_weights: Weights) -> None:
    view = probe_view(tiny_weights.preprocessing)
    sound = TorchEngine(tiny_weights).logits(view)
    tiny_weights.tensors["conv1.weight"][:] = tiny_weights.tensors["conv1.weight"][:, ::-1].copy()
    assert np.abs(TorchEngine(tiny_weights).logits(view) - sound).max() > 0.01


def test_one_thread_is_over_even_after_a_failure() -> None:
    torch.set_num_threads(2)
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = torch.get_num_threads() // (torch.get_num_threads() - 1)  # divides by zero on one thread alone
    assert torch.get_num_threads() == 2


def test_opening_an_engine_copies_no_matrix(tiny_weights: Weights, images: np.ndarray) -> None:
    engine = TorchEngine(tiny_weights, "cpu")
    before = engine.features(images, ["fc4:pre"])["fc4:pre"]
    tiny_weights.tensors["fc4.weight"][:] = 0
    tiny_weights.tensors["fc4.bias"][:] = 0
    assert before.any()
    assert not engine.features(images, ["fc4:pre"])["fc4:pre"].any()


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "xpu"])
def test_a_device_that_is_not_there_is_refused(tiny_weights: Weights, device: str) -> None:
    with pytest.raises(InputError, match="cannot be used here") as caught:
        TorchEngine(tiny_weights, device)
    assert "\n" not in str(caught.value)
