import pytest
import torch

from alexnet.arch import find
from alexnet.nn import build
from alexnet.recipes import pruning, sharing_values
from alexnet.recipes.named import DIGITS
from alexnet.train.constraint import constraint_of
from alexnet.train.sgd import Sgd2012


@pytest.mark.parametrize(
    ("recipe", "zeros", "values"),
    [(DIGITS, False, False), (pruning(DIGITS, 20_000), True, False), (sharing_values(DIGITS), False, True)],
)
def test_the_recipe_says_what_weights_are_held_to(recipe, zeros: bool, values: bool) -> None:
    net = build(find("digits"), seed=0)
    optimizer = Sgd2012(net, recipe)
    optimizer.set_rates(0.0)
    around = constraint_of(net, optimizer, recipe, 10)
    for step in range(10):
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, 0.01)
        with around(step):
            optimizer.step()
    weight = net.get_parameter("fc4.weight").detach()
    assert bool((weight == 0).any()) == zeros
    assert (weight.unique().numel() <= 31) == values
