"""A net in two towers and the same net in one: equal parameters, logits and gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from alexnet.arch import NETS, find
from alexnet.arch.shapes import total_params
from alexnet.arch.spec import Spec
from alexnet.arch.towers import Merged, merge, renamed_as, split
from alexnet.errors import SpecError
from alexnet.interop.cuda_convnet.config import read_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.nn import build
from alexnet.weights.towers import merge_tensors, split_tensors

NET_145 = Path(__file__).parents[1] / "interop/cuda_convnet/nets/layers-145.cfg"


@pytest.fixture(scope="module")
def written() -> Spec:
    """Net 145 as its definition file has it."""
    return define(read_sections(NET_145), {}, name="layers-145", source="test", input_size=None).spec


@pytest.fixture(scope="module")
def merged(written: Spec) -> Merged:
    return merge(written)


def test_the_written_net_merges_into_ours(written: Spec, merged: Merged) -> None:
    names = renamed_as(merged.spec, NETS["krizhevsky-145"])
    assert names is not None
    assert (names["fc2048ba"], names["fc1000"], names["cnorm2"]) == ("fc7", "fc8", "rnorm2")
    assert total_params(written) == total_params(merged.spec) == 60_965_224


def test_the_second_tower_s_reversed_inputs_are_put_in_order(merged: Merged) -> None:
    first, second = merged.pieces["fc2048ba"]
    assert first.columns == (range(2048), range(2048, 4096))
    assert second.columns == (range(2048, 4096), range(2048))


def test_logits_and_gradients_are_equal(written: Spec, merged: Merged) -> None:
    towers, whole = build(written, seed=0).eval(), build(merged.spec, seed=1).eval()
    tensors = {key: tensor.numpy() for key, tensor in towers.state_dict().items()}
    joined = merge_tensors(merged, tensors)
    whole.load_state_dict({key: torch.from_numpy(tensor.copy()) for key, tensor in joined.items()})
    images, labels = torch.randn(2, 3, 224, 224) * 60, torch.tensor([3, 999])
    outputs = [net(images) for net in (towers, whole)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    gradients = []
    for net, logits in zip((towers, whole), outputs, strict=True):
        F.cross_entropy(logits, labels).backward()
        gradients.append({name: parameter.grad.numpy() for name, parameter in net.named_parameters()})
    of_towers = merge_tensors(merged, gradients[0])
    for name, gradient in gradients[1].items():
        assert np.abs(of_towers[name] - gradient).max() <= 1e-4 * np.abs(gradient).max(), name


def test_weights_taken_apart_and_laid_together_are_the_same(merged: Merged) -> None:
    rng = np.random.default_rng(0)
    net = build(merged.spec.with_classes(10), seed=0)
    small = Merged(net.spec, {**merged.pieces, "fc1000": (merged.pieces["fc1000"][0]._replace(outputs=10),)})
    tensors = {key: rng.normal(size=tensor.shape).astype(np.float32) for key, tensor in net.state_dict().items()}
    again = merge_tensors(small, split_tensors(small, tensors))
    assert again.keys() == tensors.keys()
    assert all(np.array_equal(again[key], tensors[key]) for key in tensors)


@pytest.mark.parametrize("name", ["krizhevsky-145", "paper-2012", "krizhevsky-145+no-talk", "cifar-18pct", "digits"])
def test_what_is_split_merges_into_what_it_was(name: str) -> None:
    spec = find(name)
    try:
        towers = split(spec)
    except SpecError:
        assert name in ("digits",)
        return
    again = merge(towers.spec)
    assert renamed_as(again.spec, spec) is not None
    assert total_params(towers.spec) == total_params(spec)


def test_a_norm_across_the_towers_cannot_be_split() -> None:
    with pytest.raises(SpecError, match="norm1"):
        split(find("caffe"))
