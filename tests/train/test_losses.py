"""Golden numbers: computed by hand from the formulas of the 2012 cost layers."""

from math import exp, log

import pytest
import torch

from alexnet.train.losses import LOSSES

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 2])


def unit(logit: float) -> float:
    return 1 / (1 + exp(-logit))


def mean(cost) -> float:
    """Over the images, of a cost of every unit and what it is asked to be, added up over the units."""
    rows = zip(LOGITS.tolist(), LABELS.tolist(), strict=True)
    return sum(cost(unit(logit), float(k == label)) for row, label in rows for k, logit in enumerate(row)) / 2


EXPECTED = {
    "logreg": (-log(exp(2) / (exp(2) + exp(-1) + exp(0.5))) + log(3)) / 2,
    "crossent2": mean(lambda unit, wanted: -log(unit if wanted else 1 - unit)),
    "rflickr": mean(lambda unit, wanted: log(1 + (unit - wanted) ** 2)),
    "sum2": mean(lambda unit, wanted: (unit - wanted) ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_its_formula(name):
    assert LOSSES[name](LOGITS, LABELS).item() == pytest.approx(EXPECTED[name], rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_along_its_gradient(name):
    logits = LOGITS.clone().requires_grad_()
    loss = LOSSES[name](logits, LABELS)
    loss.backward()
    assert LOSSES[name](LOGITS - 0.1 * logits.grad, LABELS) < loss
