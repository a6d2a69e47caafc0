import pytest
import torch

from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.interop.cuda_convnet.parameters import recipe_of
from alexnet.nn import build
from alexnet.recipes import FilterLimits
from alexnet.train.limits import Limiter, scales

FILTERS = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.3, 0.4, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_long_filters_are_shortened_and_others_left() -> None:
    """Lengths 5, 0.5 and 0; four weights each, so that 0.25 allows a length of 1."""
    found = scales(FILTERS, FilterLimits(longest=0.25)).flatten().tolist()
    assert found == pytest.approx([0.2, 1.0, 1.0])


def test_deviations_are_brought_between_both_limits() -> None:
    limits = FilterLimits(least=0.2, most=0.5)
    scaled = FILTERS * scales(FILTERS, limits)
    deviations = (scaled - scaled.mean(1, keepdim=True)).norm(dim=1) / 4
    assert deviations.tolist() == pytest.approx([0.5, 0.2, 0.0])


def test_filters_of_any_shape_are_scaled_as_one() -> None:
    weight = torch.randn(6, 3, 5, 5)
    scaled = weight * scales(weight, FilterLimits(longest=0.01))
    assert scaled.flatten(1).norm(dim=1).max() <= 0.75 + 1e-5


def test_every_position_of_a_local_row_has_filters_of_its_own() -> None:
    weight = torch.randn(4, 2, 3, 5, 5)  # (positions, outputs, channels, k, k)
    limits = FilterLimits(longest=0.1, least=0.02, most=0.05)
    found = scales(weight, limits, 2)
    assert found.shape == (4, 2, 1, 1, 1)
    for position, filters in enumerate(weight):
        torch.testing.assert_close(found[position], scales(filters, limits))


LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[local]
type=local
inputs=data
channels=3
filters=4
filterSize=3
stride=2
initW=0.1
[conv]
type=conv
inputs=data,data
channels=3,3
filters=4,4
filterSize=3,3
stride=2,2
initW=0.1,0.2
[fc]
type=fc
inputs=local,conv
outputs=5
initW=0.1,0.1
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""
RATES = "epsB=0.1\nmomB=0.9\n"
PARAMETERS = f"""
[local]
epsW=0.1
momW=0.9
wball=0.01
{RATES}
[conv]
epsW=0.1,0.1
momW=0.9,0.9
wcNormMin=0.03,0.02
wcNormMax=0.04,0.03
{RATES}
[fc]
epsW=0.1,0.1
momW=0.9,0.9
wball=0.005,0.005
{RATES}
[cost]
coeff=1
"""


def test_limits_are_of_the_filters_of_each_input_as_in_2012() -> None:
    """Each weight matrix of 2012 has a column for each filter; a local layer's, one for each filter and position."""
    layers, parameters = parse_sections(LAYERS, "layers.cfg"), parse_sections(PARAMETERS, "params.cfg")
    definition = define(layers, parameters, name="net", source="test", input_size=8)
    net = build(definition.spec, seed=0).double()
    before = {key: weight.detach().clone() for key, weight in net.named_parameters()}
    with Limiter(net, recipe_of(definition, parameters, name="recipe", source="test")).around(0):
        pass
    after = dict(net.named_parameters())
    banks = [f"{row}.weight" for row in definition.banks]
    assert len(banks) == 5
    for key in banks:
        width = before[key].flatten(2 if key.startswith("local") else 1).shape[-1]
        for old, new in zip(before[key].reshape(-1, width), after[key].reshape(-1, width), strict=True):
            torch.testing.assert_close(new.detach(), limited_as_in_2012(key, old))
        assert not torch.equal(after[key], before[key])
    assert all(torch.equal(after[key], before[key]) for key in before.keys() - set(banks))


def limited_as_in_2012(key: str, weights: torch.Tensor) -> torch.Tensor:
    """One filter, by the words of the parameter file."""
    if not key.startswith("conv"):
        longest = {"l": 0.01, "f": 0.005}[key[0]] * len(weights)
        return weights * min(1.0, longest / weights.norm().item())
    least, most = (0.02, 0.03) if "_2" in key else (0.03, 0.04)
    deviation = (weights - weights.mean()).norm().item() / len(weights)
    return weights * (min(max(deviation, least), most) / deviation)
