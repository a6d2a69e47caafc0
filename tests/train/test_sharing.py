import numpy as np
import pytest
import torch

from alexnet.arch import find
from alexnet.nn import Net, build
from alexnet.recipes import SharedValues
from alexnet.recipes.named import DIGITS
from alexnet.train.sgd import Sgd2012
from alexnet.train.sharing import ValueSharer, centres_of, nearest

SHARED = SharedValues(conv=15, fc=7)


def lloyd(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """k-means by the book: each value looks at each centre."""
    for _ in range(200):
        codes = np.abs(values[:, None] - centres).argmin(1)
        centres = np.array([values[codes == k].mean() if (codes == k).any() else c for k, c in enumerate(centres)])
    return centres


def test_centres_are_those_of_k_means() -> None:
    values = np.random.default_rng(0).normal(size=500).astype(np.float32)
    expected = lloyd(values.astype(np.float64), np.linspace(values.min(), values.max(), 7))
    np.testing.assert_allclose(centres_of(values, 7), expected, atol=1e-3)


def test_no_more_centres_than_values() -> None:
    np.testing.assert_allclose(centres_of(np.float32([2, -1, 2, -1]), 9), [-1, 2])
    assert centres_of(np.zeros(0, np.float32), 9).shape == (0,)
    np.testing.assert_allclose(centres_of(np.float32([3]), 4), [3])


def test_the_nearest_centre_is_found() -> None:
    centres, values = np.float32([-1, 0.5, 2]), np.float32([-9, -0.3, -0.2, 1.2, 1.3, 9])
    np.testing.assert_array_equal(nearest(values, centres), [0, 0, 1, 1, 2, 2])


def begun() -> tuple[Net, Sgd2012]:
    net = build(find("digits"), seed=0)
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            if name.endswith("weight"):
                tensor.mul_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(1)) < 0.3)
    optimizer = Sgd2012(net, DIGITS)
    optimizer.set_rates(0.0)
    return net, optimizer


def test_weights_share_few_values_and_zeros_stay(walk) -> None:
    net, optimizer = begun()
    zeros = {name: tensor == 0 for name, tensor in net.named_parameters()}
    walk(net, ValueSharer(net, SHARED), optimizer, range(3))
    for name, tensor in net.named_parameters():
        if name.endswith("weight"):
            most = SHARED.conv if name.startswith("conv") else SHARED.fc
            assert len(torch.unique(tensor[tensor != 0])) <= most
            assert torch.equal(tensor == 0, zeros[name])
        else:
            assert len(torch.unique(tensor)) > 1


def test_a_shared_value_moves_by_the_mean_of_its_updates(walk) -> None:
    net, optimizer = begun()
    sharer = ValueSharer(net, SHARED)
    walk(net, sharer, optimizer, range(1))
    weight = net.get_parameter("fc4.weight").detach()
    before = weight.detach().clone()
    loose, again = begun()
    loose.load_state_dict(net.state_dict())
    again.load_velocities(optimizer.velocities())
    walk(net, sharer, optimizer, range(1, 2))
    generator = torch.Generator().manual_seed(1)
    for parameter in loose.parameters():  # the same update, unconstrained
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 0.01
    again.step()
    free = loose.get_parameter("fc4.weight").detach()
    for value in torch.unique(before[before != 0]):
        places = before == value
        assert weight[places].unique().numel() == 1
        assert float(weight[places][0]) == pytest.approx(float(free[places].mean()), rel=1e-4, abs=1e-7)


def test_a_resumed_run_goes_on_exactly(walk) -> None:
    whole, optimizer = begun()
    walk(whole, ValueSharer(whole, SHARED), optimizer, range(6))
    net, before = begun()
    walk(net, ValueSharer(net, SHARED), before, range(4))
    again, after = begun()
    again.load_state_dict(net.state_dict())
    after.load_velocities(before.velocities())
    walk(again, ValueSharer(again, SHARED), after, range(4, 6))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
