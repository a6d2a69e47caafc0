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


CHANGED = {
    "scale was 1.0": {"scale": 2.0},
    "channel_order was RGB": {"channel_order": "BGR"},
    "interpolation was bilinear": {"interpolation": "nearest"},
    "resize was 16": {"resize": (16, 16)},
}


@pytest.mark.parametrize("was", CHANGED)
def test_changed_preprocessing_is_undone_where_it_was_usual(probed_weights: Weights, was: str) -> None:
    changed = replace(probed_weights.preprocessing, **CHANGED[was])
    assert words(replace(probed_weights, preprocessing=changed)) == f"its preprocessing is changed: {was}"


def test_two_changes_of_preprocessing_are_a_change(probed_weights: Weights) -> None:
    changed = replace(probed_weights.preprocessing, scale=2.0, std=(2.0, 2.0, 2.0))
    assert words(replace(probed_weights, preprocessing=changed)) == "its preprocessing is changed"


def test_a_missing_mean_is_missed_whatever_the_recipe_says(probed_weights: Weights) -> None:
    """A net that is trained on keeps the mean of its beginning, of which its own recipe knows nothing."""
    plain = replace(probed_weights, preprocessing=Preprocessing(resize=16, crop=12))
    assert words(plain) == "its mean is missing"


def test_the_rest_of_the_metadata_is_named(probed_weights: Weights) -> None:
    spec = replace(probed_weights.spec, name="other")
    assert words(replace(probed_weights, spec=spec)) == "its net is changed"
    assert words(replace(probed_weights, recipe={"mean": "none"})) == "its recipe is changed"
    assert words(replace(probed_weights, errors=({"top1_error": 0.0},))) == "its list of measured errors is changed"


def test_edited_logits_are_told_from_edited_weights(probed_weights: Weights) -> None:
    assert probed_weights.probe is not None
    logits = [logit + 1 for logit in probed_weights.probe["logits"]]
    edited = replace(probed_weights, probe={**probed_weights.probe, "logits": logits})
    assert "all its parts are those that were saved" in words(edited)


def test_a_change_as_small_as_rounding_is_not_another_moment(probed_weights: Weights) -> None:
    """Such as by a way through another number format."""
    tensors = {key: tensor * np.float32(1.0000001) for key, tensor in probed_weights.tensors.items()}
    one = {**probed_weights.tensors, "conv2.weight": tensors["conv2.weight"]}
    assert words(replace(probed_weights, tensors=one)) == "conv2.weight is changed"
    assert "by no more than rounding would" in words(replace(probed_weights, tensors=tensors))


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
