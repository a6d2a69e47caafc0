"""Parts on devices of one process. Between processes: tests/train/test_layouts.py."""

import pytest
import torch

from alexnet.nn.exchange import BetweenDevices
from alexnet.spans import spans

CPU = torch.device("cpu")


@pytest.mark.parametrize("dim", [0, 1])
def test_the_whole_reaches_every_part_and_its_gradients_come_back_added_up(dim: int) -> None:
    exchange, shares = BetweenDevices([CPU, CPU]), spans(5, 2)
    whole = torch.arange(20.0).reshape((5, 4) if dim == 0 else (4, 5))
    pieces = [whole.narrow(dim, each.start, each.size).clone().requires_grad_() for each in shares]
    first, second = exchange.gather(pieces, shares, dim)
    assert torch.equal(first, whole)
    assert torch.equal(second, whole)
    (first.sum() + (2 * whole * second).sum()).backward()
    for piece, share in zip(pieces, shares, strict=True):
        assert torch.equal(piece.grad, 1 + 2 * whole.narrow(dim, share.start, share.size))


def test_what_all_go_on_with_is_there_once() -> None:
    exchange, shares = BetweenDevices([CPU, CPU, CPU]), spans(3, 3)
    pieces = [torch.full((2, 1), float(part), requires_grad=True) for part in range(3)]
    whole = exchange.gather_alike(pieces, shares)
    assert torch.equal(whole, torch.tensor([[0.0, 1, 2]] * 2))
    whole.square().sum().backward()
    assert [piece.grad.flatten().tolist() for piece in pieces] == [[0, 0], [2, 2], [4, 4]]


def test_sums_of_one_process_are_its_own() -> None:
    exchange = BetweenDevices([CPU, CPU])
    assert (exchange.num_parts, list(exchange.here)) == (2, [0, 1])
    assert torch.equal(exchange.total(torch.ones(3)), torch.ones(3))
