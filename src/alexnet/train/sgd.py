"""The update of sec. 5 as it was run in 2012, on torch's fused SGD.

2012: velocity <- momentum velocity - lr (grad + decay w);  w <- w + velocity.
torch: buffer <- momentum buffer + (1 - dampening) (grad + decay w);  w <- w - lr buffer.

With torch's lr at 1 and dampening at 1 - lr the second line is the first, buffer = -velocity: the rate stands inside
the velocity, so that a drop of the rate leaves steps already under way at full length.
"""

from collections.abc import Mapping

import torch

from alexnet.nn import Net
from alexnet.recipes import Momenta, Recipe
from alexnet.train.schedule import rate_at


class Sgd2012:
    """One parameter group for the weights and one for the biases of every row, each with its own rate.

    A rate of 0 freezes a group: no gradient is computed for it and neither momentum nor decay move it, until the rate
    returns. `recipe.update == "pytorch"` gives torch's rule (lr outside the buffer) with the same groups.

    Source: paper sec. 5; 2012 release, weights.cu.
    """

    def __init__(self, net: Net, recipe: Recipe) -> None:
        self.recipe = recipe
        self.rates: dict[str, float] = {}  # in force, by parameter name
        groups, classifier = [], {row.name for row in net.spec.classifier_rows}
        for name, parameter in net.named_parameters():
            row, kind = name.split(".")
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
                    "schedule": schedule,
                }
            )
        self.optimizer = torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, fused=True)
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                # Present from the start: torch would otherwise take the first gradient whole, undampened.
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def set_rates(self, progress: float, plateaus: int = 0) -> None:
        """Apply the recipe's rates at `progress` (0 to 1) to every group."""
        for group in self.optimizer.param_groups:
            rate = rate_at(group["schedule"], progress, plateaus)
            if noise := getattr(group["schedule"], "noise", 0.0):
                rate *= 1 + noise * abs(float(torch.randn(())))
            self.rates[group["name"]] = rate
            # Without momentum torch keeps no buffer, and both rules are one.
            inside = self.recipe.update == "2012" and group["momentum"] > 0
            group["lr"], group["dampening"] = (1.0, 1.0 - rate) if inside else (rate, 0.0)
            for parameter in group["params"]:
                parameter.requires_grad_(rate > 0)

    def step(self) -> None:
        """Move every parameter that has a gradient, and drop the gradients."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

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
