from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet.weights import Weights, read_weights, save_weights
from alexnet.weights.digest import weights_digest


def test_a_copy_has_the_same_digest_wherever_it_lies(tiny_weights: Weights, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", replace(tiny_weights, licence="MIT"))
    assert weights_digest(read_weights(tmp_path / "w.safetensors")) == weights_digest(tiny_weights)


def test_whatever_is_computed_with_is_in_it(tiny_weights: Weights) -> None:
    tensors = dict(tiny_weights.tensors)
    tensors["fc4.bias"] = tensors["fc4.bias"] + np.float32(1e-6)
    way = tiny_weights.preprocessing
    assert way.mean_image is not None
    others = [
        replace(tiny_weights, tensors=tensors),
        replace(tiny_weights, preprocessing=replace(way, mean_image=way.mean_image + 1)),
        replace(tiny_weights, preprocessing=replace(way, channel_order="BGR")),
        replace(tiny_weights, classes=(*tiny_weights.classes[:-1], replace(tiny_weights.classes[-1], name="white"))),
    ]
    assert len({weights_digest(each) for each in (tiny_weights, *others)}) == 5
