"""A net in parts in one process. Steps, and parts in processes of their own: tests/train/test_layouts.py."""

import pytest
import torch
from torch import nn

from alexnet.arch import find
from alexnet.errors import SpecError
from alexnet.nn import Net, build
from alexnet.nn.drawing import set_draws
from alexnet.nn.exchange import BetweenDevices
from alexnet.nn.towers import TowerNet, Trunk, cut_tensors, join_tensors

CPU = torch.device("cpu")


def in_parts(net: Net, parts: int) -> TowerNet:
    exchange = BetweenDevices([CPU] * parts)
    pieces = {
        name: tuple(nn.Parameter(part) for part in found)
        for name, found in cut_tensors(net.spec, exchange, net.state_dict()).items()
    }
    return TowerNet(net.spec, exchange, pieces)


@pytest.mark.parametrize(
    ("name", "side", "parts"), [("cifar-towers", 16, 2), ("cifar-relu", 16, 3), ("krizhevsky-145", 79, 2)]
)
def test_logits_and_gradients_are_those_of_the_net(name: str, side: int, parts: int) -> None:
    """Dropout included: parts drop the units that the whole drops."""
    net = build(find(name, num_classes=7, input_size=side), seed=0).double().train()
    towers = in_parts(net, parts).train()
    images = torch.rand(2, 3, side, side, dtype=torch.float64)
    set_draws(net, (5,), None, CPU)
    towers.set_draws((5,), None)
    expected, found = net(images), towers(images)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)
    for logits in (expected, found):
        logits.square().sum().backward()
    for key, parameter in net.named_parameters():
        pieces = [dict(part.named_parameters())[key].grad for part in towers.parts]
        together = torch.cat(pieces)
        torch.testing.assert_close(together, parameter.grad, rtol=1e-9, atol=1e-12 * float(parameter.grad.abs().max()))


def test_tensors_are_cut_into_copies_and_joined_again() -> None:
    net = build(find("cifar-towers", num_classes=7), seed=0)
    exchange, tensors = BetweenDevices([CPU, CPU]), net.state_dict()
    pieces = cut_tensors(net.spec, exchange, tensors)
    assert [len(part) for part in pieces["fc10.weight"]] == [4, 3]
    joined = join_tensors(net.spec, exchange, pieces)
    assert joined.keys() == tensors.keys()
    assert all(torch.equal(joined[name], tensors[name]) for name in tensors)
    pieces["conv1.weight"][0].zero_()
    assert tensors["conv1.weight"].any()


def test_a_net_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(SpecError, match="row norm1 reads across the 2 parts"):
        in_parts(build(find("digits"), seed=0), 2)


def test_a_trunk_gives_what_the_net_has_at_its_end() -> None:
    net = build(find("cifar-relu"), seed=0).eval()
    weights = {name: nn.Parameter(tensor) for name, tensor in net.state_dict().items() if name.startswith("conv")}
    trunk = Trunk(net.spec, "pool3", weights).eval()
    images = torch.rand(2, 3, 32, 32)
    seen = []
    net.get_submodule("pool3").register_forward_hook(lambda *found: seen.append(found[-1]))
    net(images)
    assert torch.equal(trunk(images), seen[0])
    assert dict(trunk.named_parameters()).keys() == weights.keys()
