from dataclasses import replace

import numpy as np
import pytest

from alexnet.errors import DataError, InputError
from alexnet.experiments.claims.figure_3 import CLAIM, count_kinds, first_kernels
from alexnet.experiments.claims.wording import setting_line
from alexnet.weights import find_weights, save_weights


def test_kinds_of_made_up_kernels_are_counted():
    y, x = np.mgrid[-5:6, -5:6]
    stripes, blob = np.cos(0.8 * x), np.exp(-(x**2 + y**2) / 8.0)
    grey_stripes = [np.stack([stripes] * 3)] * 3
    colour_blobs = [np.stack([blob, -blob, 0 * blob])] * 2
    random = list(np.random.default_rng(0).normal(size=(4, 3, 11, 11)))
    assert count_kinds(np.array(grey_stripes + colour_blobs + random)) == {"oriented": 3, "coloured": 2, "grey": 3}


def test_untrained_kernels_are_of_no_kind():
    kernels = np.random.default_rng(3).normal(0, 0.01, (96, 3, 11, 11))
    assert max(count_kinds(kernels).values()) <= 2


def test_the_claim_counts_and_draws_the_kernels_of_weights(open_on_digits, digits_runs, tmp_path):
    found = CLAIM.run(open_on_digits(CLAIM, weights=(digits_runs[0],)))
    assert found.details["kernels"] == 32
    assert found.ours.startswith("of 32 kernels ")
    assert found.verdict is None
    assert "images" not in setting_line(found.setting)
    found.draw(tmp_path / "kernels.png")
    assert (tmp_path / "kernels.png").stat().st_size > 1000


def test_data_of_other_classes_are_refused(open_on_digits, tiny_weights, tmp_path):
    save_weights(tmp_path / "tiny.safetensors", tiny_weights)
    with pytest.raises(DataError, match="classes are not among"):
        CLAIM.run(open_on_digits(CLAIM, weights=(str(tmp_path / "tiny.safetensors"),)))


def test_kernels_of_nets_that_see_bgr_are_turned(tmp_path, tiny_weights):
    bgr = replace(tiny_weights, preprocessing=replace(tiny_weights.preprocessing, channel_order="BGR"))
    save_weights(tmp_path / "bgr.safetensors", bgr)
    assert (first_kernels(str(tmp_path / "bgr.safetensors")) == tiny_weights.tensors["conv1.weight"][:, ::-1]).all()


def test_weights_without_a_first_convolution_are_refused(tmp_path, digits_runs, monkeypatch):
    found = find_weights(digits_runs[0])
    tensors = {key: tensor for key, tensor in found.tensors.items() if key != "conv1.weight"}
    monkeypatch.setattr("alexnet.experiments.claims.figure_3.find_weights", lambda _: replace(found, tensors=tensors))
    with pytest.raises(InputError, match="no conv1 that sees three colours"):
        first_kernels("x")
