from dataclasses import replace
from math import prod, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.arch import find
from alexnet.arch.rows import Conv, Fc, Local, Weighted
from alexnet.arch.spec import Spec
from alexnet.nn import InputLayer, build
from alexnet.nn.init import initialize
from alexnet.preprocess import Preprocessing, extract_views, open_image, resize_image

# Small images: fc6 has fewer weights, all else is as large as it ever is.
NETS = {
    "krizhevsky-145": 67,
    "paper-2012": 67,
    "caffe": 67,
    "caffenet": 67,
    "cifar-80sec": 32,
    "cifar-18pct": 32,
    "cifar-13pct": 32,
    "digits": 16,
}


def assert_drawn_from_normal(values: torch.Tensor, std: float) -> None:
    """Mean, spread and fourth moment of up to a million values within five standard errors of N(0, std^2)."""
    values = values.flatten()[:1_000_000].double() / std
    n = len(values)
    assert abs(values.mean()) < 5 / sqrt(n)
    assert abs(values.square().mean() - 1) < 5 * sqrt(2 / n)
    assert abs(values.pow(4).mean() - 3) < 5 * sqrt(96 / n)


@pytest.mark.parametrize("net", NETS)
def test_weights_are_normal_and_biases_constant_as_the_rows_say(net):
    spec = find(net, input_size=NETS[net])
    module = build(spec, seed=0)
    for row in spec.rows:
        if isinstance(row, Weighted):
            drawn = module.get_submodule(row.name)
            assert_drawn_from_normal(drawn.weight.detach(), row.weight_std)
            assert (drawn.bias == row.bias_init).all()


def test_rows_that_do_not_say_start_as_pytorch_does():
    """Uniform within 1 / sqrt(inputs of one unit), weights and biases."""
    net = build(find("one-weird-trick", input_size=63), seed=0)
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        row = net.get_submodule(name)
        bound = 1 / sqrt(prod(row.weight.shape[1:]))
        for drawn in (row.weight, row.bias):
            assert 0.9 * bound < drawn.abs().max() <= bound
        assert row.weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)


@pytest.mark.parametrize("row", [Conv("row", 4, 3), Local("row", 4, 3), Fc("row", 4), Fc("row", 3, groups=3)])
@pytest.mark.parametrize(("std", "bias"), [(0.5, None), (None, 0.7), (None, None)])
def test_each_setting_leaves_the_other_to_pytorch(row, std, bias):
    spec = Spec("test", "this file", (3, 6, 6), (row, Fc("fc", 2), *find("digits").rows[-1:]))
    plain = build(spec, seed=0).get_submodule("row")
    drawn = build(spec.with_rows({"row": replace(row, weight_std=std, bias_init=bias)}), seed=0).get_submodule("row")
    assert torch.equal(drawn.weight, plain.weight) == (std is None)
    assert torch.equal(drawn.bias, plain.bias) == (bias is None)


def test_a_generator_decides_the_draw():
    row, module = Fc("fc", 5, weight_std=0.1), torch.nn.Linear(4, 5)
    draws = []
    for seed in (1, 1, 2):
        initialize(module, row, torch.Generator().manual_seed(seed))
        draws.append(module.weight.detach().clone())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def signal(spec: Spec, images: torch.Tensor, layers: list[str]) -> dict[str, float]:
    """How much of the images is left: the standard deviation of a unit over the images, averaged over units."""
    with torch.inference_mode():
        values = build(spec, seed=0).eval().features(images, layers)
    return {layer: values[layer].std(0).mean().item() for layer in layers}


# Facts, section 13; one draw and 16 photographs each, so within a factor of two.
SIGNAL = {
    "krizhevsky-145": {"pool1": 4.6, "pool2": 0.75, "conv3": 1.08, "conv4": 0.89, "conv5": 0.83, "fc6": 0.68},
    "paper-2012": {"pool1": 4.4, "pool2": 0.73, "conv3": 0.35, "conv4": 0.096, "conv5": 0.039, "fc6": 0.036},
    "caffe": {"pool1": 7.6, "pool2": 1.9, "conv3": 0.93, "conv4": 0.26, "conv5": 0.073, "fc6": 0.032},
}


@pytest.fixture(scope="module")
def photographs(test_data: Path) -> torch.Tensor:
    """Sixteen photographs as the net of 2012 wants them, 227 pixels wide."""
    files = sorted((test_data / "imagenet-samples").glob("*/*"))[::6][:16]
    if len(files) < 16:
        pytest.skip("no photographs: imagenet-samples is not among the test data")
    canvases = np.stack([resize_image(open_image(file), 256, "bilinear") for file in files])
    preprocessing = Preprocessing(crop=227, mean=(122.68, 116.67, 104.01))
    return InputLayer(preprocessing)(torch.from_numpy(extract_views(canvases, 227, "center")[0]))


@pytest.mark.parametrize("net", SIGNAL)
def test_the_signal_of_photographs_has_the_size_it_had(net, photographs):
    spec = find(net)
    size = spec.input[1]
    found = signal(spec, photographs[:, :, :size, :size], list(SIGNAL[net]))
    assert {layer: 0.5 < found[layer] / SIGNAL[net][layer] < 2 for layer in found} == dict.fromkeys(found, True), found


def test_the_003_of_the_middle_convs_carries_the_signal_to_fc6(photographs):
    """The paper's text has 0.01 everywhere, and stalls."""
    spec, images = find("krizhevsky-145"), photographs[:, :, :224, :224]
    weak = spec.with_rows({name: replace(spec[name], weight_std=0.01) for name in ("conv3", "conv4", "conv5")})
    assert signal(spec, images, ["fc6"])["fc6"] > 8 * signal(weak, images, ["fc6"])["fc6"]
