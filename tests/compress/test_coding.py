import re
from dataclasses import replace

import numpy as np
import pytest

from alexnet.compress.coding import check_range, weight_bytes
from alexnet.errors import InputError
from alexnet.weights import Weights


def times(weights: Weights, key: str, factor: float) -> Weights:
    return replace(weights, tensors={**weights.tensors, key: weights.tensors[key] * np.float32(factor)})


def test_what_is_no_weight_takes_its_part_first(tiny_weights: Weights) -> None:
    assert weight_bytes(tiny_weights, 6000) - weight_bytes(tiny_weights, 5000) == 1000
    assert weight_bytes(tiny_weights, 5000) < 5000 - 76  # biases in float16
    with pytest.raises(InputError, match="20 bytes are too few for tiny; give it"):
        weight_bytes(tiny_weights, 20)


@pytest.mark.parametrize(
    ("key", "factor", "words"),
    [
        ("conv1.bias", 1e6, r"conv1\.bias has values up to .*e\+05, and float16"),
        ("fc3.weight", -1e6, r"fc3\.weight has values up to .*e\+05, and float16"),
        ("conv1.weight", 1e-9, r"conv1\.weight is 9e-11 in root mean square"),
        ("conv1.weight", 1e-6, r"conv1\.weight is 9e-08 in root mean square"),
        ("conv1.weight", 1e-38, r"conv1\.weight is 9e-40 in root mean square"),
    ],
)
def test_what_float16_cannot_hold_is_refused(tiny_weights: Weights, key: str, factor: float, words: str) -> None:
    with pytest.raises(InputError) as refused:
        check_range(times(tiny_weights, key, factor))
    assert re.match(words, str(refused.value))


@pytest.mark.parametrize(("key", "factor"), [("conv1.weight", 1e-4), ("conv1.weight", 0), ("conv1.bias", 1e-9)])
def test_small_weights_no_weights_and_tiny_biases_pass(tiny_weights: Weights, key: str, factor: float) -> None:
    check_range(times(tiny_weights, key, factor))


def test_a_row_that_is_mostly_zero_is_judged_by_what_is_left(tiny_weights: Weights) -> None:
    weight = np.zeros_like(tiny_weights.tensors["fc3.weight"])
    weight[0, 0] = 1e-5
    check_range(replace(tiny_weights, tensors={**tiny_weights.tensors, "fc3.weight": weight}))
