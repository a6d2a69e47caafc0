"""Sums over one process; over two: tests/train/test_layouts.py."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from alexnet.train.summed import SummedGradients

# torch warns of itself where its wrapper is made anew, in each version of other things.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def group() -> Iterator[dist.ProcessGroup]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


def net_of() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))


def test_rows_may_freeze_and_thaw(group: dist.ProcessGroup) -> None:
    net, alone = net_of(), net_of()
    alone.load_state_dict(net.state_dict())
    summed, x = SummedGradients({4: net}, group), torch.rand(2, 1, 4, 4)
    for frozen in ([], ["0.weight", "0.bias"], [], [name for name, _ in net.named_parameters()]):
        for each in (net, alone):
            each.zero_grad()
            for name, parameter in each.named_parameters():
                parameter.requires_grad_(name not in frozen)
        found, expected = summed(x), alone(x)
        assert torch.equal(found, expected)
        if found.requires_grad:
            for logits in (found, expected):
                logits.square().sum().backward()
        for (name, ours), theirs in zip(net.named_parameters(), alone.parameters(), strict=True):
            assert (ours.grad is None) == (name in frozen)
            assert ours.grad is None or torch.allclose(ours.grad, theirs.grad)


def test_passes_add_up(group: dist.ProcessGroup) -> None:
    net = net_of()
    summed, x = SummedGradients({4: net}, group), torch.rand(4, 1, 4, 4)
    net(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    with summed.alone():
        summed(x[:3]).sum().backward()
    summed(x[3:]).sum().backward()
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_net_is_that_for_the_size_of_the_images(group: dist.ProcessGroup) -> None:
    small, large = nn.Identity(), nn.Conv2d(1, 1, 1)
    summed = SummedGradients({2: small, 4: large}, group)
    x = torch.rand(1, 1, 2, 2)
    assert torch.equal(summed(x), x)
