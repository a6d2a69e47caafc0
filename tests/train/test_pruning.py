import itertools
from collections.abc import Callable

import pytest
import torch

from alexnet.arch import find
from alexnet.nn import Net, build
from alexnet.recipes import Pruning
from alexnet.recipes.named import DIGITS
from alexnet.train.pruning import PRUNINGS, Pruner, coded_bytes, size_at, thresholds
from alexnet.train.sgd import Sgd2012

BITS = {"a": 4.0, "b": 6.0}


def test_pruning_is_fast_at_first_and_ends_where_asked() -> None:
    sizes = [size_at(progress / 10, 1000, 100) for progress in range(11)]
    assert (sizes[0], sizes[-1]) == (1000, pytest.approx(100))
    lost = [before - after for before, after in itertools.pairwise(sizes)]
    assert lost == sorted(lost, reverse=True)
    assert size_at(2, 1000, 100) == pytest.approx(100)


def test_a_coded_weight_costs_its_place_and_its_value() -> None:
    assert coded_bytes(800, 800, 4.0) == pytest.approx(1.04 * 400)
    assert coded_bytes(800, 400, 4.0) == pytest.approx(1.04 * (100 + 200))
    assert coded_bytes(800, 0, 4.0) == 0


@pytest.mark.parametrize("size", [200, 2000, 10_000, 40_000])
def test_what_is_left_fits(size: int) -> None:
    weights = {"a": torch.randn(200, 300), "b": torch.randn(50, 40) * 10}
    found = thresholds(weights, {"a": 1.0, "b": 0.5}, BITS, size)
    left = {key: int((weight.abs() > found[key]).sum()) for key, weight in weights.items()}
    taken = sum(coded_bytes(weight.numel(), left[key], BITS[key]) for key, weight in weights.items())
    assert taken == pytest.approx(min(size, 1.04 * (60_000 * 4 + 2000 * 6) / 8), rel=0.02)


def test_what_the_loss_feels_more_is_kept() -> None:
    """Saliency is sensitivity times square, exactly: a row nine times as sensitive loses weights a third as large."""
    weights = {"a": torch.randn(1000), "b": torch.randn(1000)}
    found = thresholds(weights, {"a": 1.0, "b": 9.0}, BITS, 500)
    assert found["a"] == pytest.approx(3 * found["b"])


@pytest.fixture
def pruned() -> Callable[..., tuple[Net, Pruner, Sgd2012]]:
    def make(size: int, total_steps: int) -> tuple[Net, Pruner, Sgd2012]:
        net = build(find("digits"), seed=0)
        optimizer = Sgd2012(net, DIGITS)
        optimizer.set_rates(0.0)
        return net, Pruner(net, optimizer, Pruning(bytes=size, until=0.5), total_steps), optimizer

    return make


def share_left(net: Net) -> float:
    weights = [tensor for name, tensor in net.named_parameters() if name.endswith("weight")]
    return sum(int((weight != 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def test_weights_go_step_by_step_and_stay_gone(pruned, walk) -> None:
    net, pruner, optimizer = pruned(20_000, 40)
    shares = []
    for step in range(40):
        walk(net, pruner, optimizer, range(step, step + 1))
        shares.append(share_left(net))
    assert shares[:20] == sorted(shares[:20], reverse=True)
    assert 0.05 < shares[19] < 0.2
    assert shares[20:] == [shares[19]] * 20


def test_a_long_run_prunes_so_many_times(pruned, monkeypatch: pytest.MonkeyPatch) -> None:
    _net, pruner, _optimizer = pruned(50_000, 1000)
    monkeypatch.setattr(pruner, "_prune", lambda progress: seen.append(progress))
    seen: list[float] = []
    for step in range(1000):
        with pruner.around(step):
            pass
    assert len(seen) == PRUNINGS
    assert seen[-1] == 1


def test_a_resumed_run_goes_on_exactly(pruned, walk) -> None:
    whole, pruner, optimizer = pruned(30_000, 20)
    walk(whole, pruner, optimizer, range(20))
    net, first, before = pruned(30_000, 20)
    walk(net, first, before, range(7))
    again, second, after = pruned(30_000, 20)
    again.load_state_dict(net.state_dict())
    after.load_velocities(before.velocities())
    walk(again, second, after, range(7, 20))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
