"""The update of sec. 5 as it was run in 2012, on torch's fused SGD; the same with LARS; and torch's own.

2012: velocity <- momentum velocity - lr (grad + decay w);  w <- w + velocity.
torch: buffer <- momentum buffer + (1 - dampening) (grad + decay w);  w <- w - lr buffer.

With torch's lr at 1 and dampening at 1 - lr the second line is the first, buffer = -velocity: the rate stands inside
the velocity, so that a drop of the rate leaves steps already under way at full length.

LARS multiplies the rate of each row by  trust |w| / (|grad| + decay |w|),  of its weights, in every step: rows whose
gradients are large for their weights then take no larger steps than the others, which is what limits the rate, and with
it the batch.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.arch.spec import Spec
from alexnet.recipes import Momenta, Recipe, Schedule
from alexnet.train.schedule import rate_at


class OfSpec(Protocol):
    """A net, or what is here of one; the names of its parameters end as `conv1.weight`."""

    spec: Spec

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Its parameters."""


Sums = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def _own(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a net in one: what there is."""
    return dict(values)


class Sgd2012:
    """One parameter group for the weights and one for the biases of every row, each with its own rate.

    A rate of 0 freezes a group: no gradient is computed for it and neither momentum nor decay move it, until the rate
    returns. `recipe.update == "pytorch"` gives torch's rule (lr outside the buffer) with the same groups, and "lars"
    that of 2012 with rates of rows that follow their norms; `sums` adds up what the parts of a net in parts find.

    Source: paper sec. 5; 2012 release, weights.cu. You, Gitman and Ginsburg 2017, arXiv 1708.03888; differs: a row's
    biases take the ratio of its weights, for they begin at 0, or at 1.
    """

    def __init__(self, net: OfSpec, recipe: Recipe, sums: Sums = _own) -> None:
        self.recipe, self._sums = recipe, sums
        self.rates: dict[str, float] = {}  # in force, by row and kind, such as conv1.weight
        groups, classifier = [], {row.name for row in net.spec.classifier_rows}
        for name, parameter in net.named_parameters():
            row, kind = name.split(".")[-2:]
            rates = recipe.rates_of(row, is_classifier=row in classifier)
            decay = recipe.bias_decay if kind == "bias" else recipe.row_decay.get(row, recipe.weight_decay)
            schedule = rates.biases if kind == "bias" else rates.weights
            momenta = recipe.row_momenta.get(row, Momenta(recipe.momentum, recipe.momentum))
            groups.append(
                {
                    "params": [parameter],
                    "weight_decay": decay,
                    "momentum": momenta.biases if kind == "bias" else momenta.weights,
                    "name": name,
                    "key": f"{row}.{kind}",
                    "schedule": schedule,
                }
            )
        self.optimizer = torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, fused=True)
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                # Present from the start: torch would otherwise take the first gradient whole, undampened.
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def set_rates(
        self, progress: float, plateaus: int = 0, share: float = 1.0, rng: np.random.Generator | None = None
    ) -> None:
        """Apply the recipe's rates at `progress` (0 to 1) to every group, `share` of them in a warm-up.

        `rng` draws the noise of rates that have one.
        """
        rng = rng or np.random.default_rng()
        self.rates.clear()
        for group in self.optimizer.param_groups:
            if group["key"] not in self.rates:  # parts of a row draw one noise
                self.rates[group["key"]] = share * _drawn(group["schedule"], progress, plateaus, rng)
            rate = self.rates[group["key"]]
            # Without momentum torch keeps no buffer, and both rules are one.
            inside = self.recipe.update != "pytorch" and group["momentum"] > 0
            group["lr"], group["dampening"] = (1.0, 1.0 - rate) if inside else (rate, 0.0)
            for parameter in group["params"]:
                parameter.requires_grad_(rate > 0)

    def step(self) -> None:
        """Move every parameter that has a gradient, and drop the gradients."""
        if self.recipe.update == "lars":
            self._follow_norms()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _follow_norms(self) -> None:
        """The rates in force times the ratio of their row, of the norms of its weights and of their gradient."""
        learning = [group for group in self.optimizer.param_groups if group["params"][0].grad is not None]
        weights = {group["name"]: group["params"][0] for group in learning if group["key"].endswith(".weight")}
        squares = {name: torch.stack([_square(each), _square(each.grad)]) for name, each in weights.items()}
        norms = {key: each.sqrt().tolist() for key, each in self._sums(squares).items()}
        for group in learning:
            row = group["key"].split(".")[0]
            weight, gradient = norms.get(f"{row}.weight", (0.0, 0.0))
            decay = self.recipe.row_decay.get(row, self.recipe.weight_decay)
            ratio = self.recipe.trust * weight / (gradient + decay * weight) if weight and gradient else 1.0
            rate = ratio * self.rates[group["key"]]
            group["lr"], group["dampening"] = (1.0, 1.0 - rate) if group["momentum"] > 0 else (rate, 0.0)

    def velocities(self) -> dict[str, torch.Tensor]:
        """By parameter name, the buffers themselves (torch's sign: minus the velocity of 2012)."""
        return {
            group["name"]: self.optimizer.state[parameter]["momentum_buffer"]
            for group in self.optimizer.param_groups
            for parameter in group["params"]
        }

    def load_velocities(self, velocities: Mapping[str, torch.Tensor]) -> None:
        """Copy buffers saved by `velocities` back in."""
        for name, buffer in self.velocities().items():
            buffer.copy_(velocities[name])


def _drawn(schedule: Schedule, progress: float, plateaus: int, rng: np.random.Generator) -> float:
    rate, noise = rate_at(schedule, progress, plateaus), getattr(schedule, "noise", 0.0)
    return rate * (1 + noise * abs(rng.standard_normal())) if noise else rate


def _square(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32)).square().sum()
