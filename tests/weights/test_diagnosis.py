"""Words for spoiled weights; that they are caught at all is tested with `alexnet.verify`."""

from dataclasses import replace

import numpy as np
import pytest

from alexnet.preprocess import Preprocessing
from alexnet.verify import probe_logits
from alexnet.weights import Weights
from alexnet.weights.diagnosis import diagnose
from alexnet.weights.probe import changed_parts


def words(weights: Weights) -> str:
    assert weights.probe is not None
    stored = np.asarray(weights.probe["logits"], np.float32)
    return diagnose(weights, changed_parts(weights), probe_logits(weights), stored, tolerance=1e-3)


def test_every_changed_tensor_is_named_with_its_own_fault(probed_weights: Weights) -> None:
    tensors = probed_weights.tensors
    tensors["conv1.weight"] = tensors["conv1.weight"][:, ::-1].copy()
    tensors["conv2.weight"] = tensors["conv2.weight"].swapaxes(2, 3)
    tensors["fc3.bias"] = np.zeros_like(tensors["fc3.bias"])
    assert words(probed_weights) == (
        "conv1.weight is in BGR order; conv2.weight is transposed; fc3.bias is nothing but zeros"
    )


def test_two_mistakes_in_one_tensor_are_a_change(probed_weights: Weights) -> None:
    probed_weights.tensors["conv1.weight"] = probed_weights.tensors["conv1.weight"][:, ::-1].swapaxes(2, 3).copy()
    assert words(probed_weights) == "conv1.weight is changed"


def test_equal_tensors_under_another_net_or_preprocessing_are_said_to_be(probed_weights: Weights) -> None:
    bright = Preprocessing(resize=16, crop=12, scale=2.0, mean_image=probed_weights.preprocessing.mean_image)
    assert "its net or preprocessing is not" in words(replace(probed_weights, preprocessing=bright))


@pytest.mark.parametrize("mean", ["image", "color"])
def test_a_mean_that_the_recipe_knows_of_is_missed(probed_weights: Weights, mean: str) -> None:
    plain = replace(probed_weights, preprocessing=Preprocessing(resize=16, crop=12), recipe={"mean": mean})
    assert words(plain) == "its mean is missing"


def test_without_checksums_logits_alone_tell_kin_from_strangers(probed_weights: Weights) -> None:
    """Files of before there were checksums."""
    assert probed_weights.probe is not None
    old = replace(probed_weights, probe={"logits": probed_weights.probe["logits"]})
    rng = np.random.default_rng(0)
    for scale, kin in ((0.01, "of another moment or run"), (1.0, "random or of another task")):
        tensors = {key: tensor + rng.normal(0, scale, tensor.shape) for key, tensor in old.tensors.items()}
        spoiled = {key: tensor.astype(np.float32) for key, tensor in tensors.items()}
        assert kin in words(replace(old, tensors=spoiled))
    order = [5, 4, 3, 2, 1, 0]
    for key in ("fc4.weight", "fc4.bias"):
        old.tensors[key] = old.tensors[key][order]
    assert words(old) == "its classes are others, or in another order"
