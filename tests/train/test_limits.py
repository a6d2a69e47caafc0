import pytest
import torch

from alexnet.recipes import FilterLimits
from alexnet.train.limits import scales

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
