"""Weights taken away while a net trains: those whose loss would rise least, over all of its rows at once.

Without the weight w the loss changes by about h w^2 / 2, h its second derivative (LeCun, Denker and Solla 1990), for
which the mean square of its row's velocity stands here. Ours: one number a row and not one a weight, because gradients
of single weights are noise. So every row is pruned by magnitude, and how far follows from one threshold for all, the
lowest at which the net fits into its bytes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import log2

import torch
from torch import Tensor

from alexnet.nn import Net
from alexnet.recipes import Pruning
from alexnet.train.sgd import Sgd2012
from alexnet.train.sharing import most_values
from alexnet.weights.packed import is_coded

PRUNINGS = 40  # of a run. Ours: each takes so little that the steps after it make up for it

CODING_LOSS = 1.04  # of the coder over the entropy of independent symbols, see weights/packed.py

_BISECTIONS = 40


class Pruner:
    """Keeps pruned weights at zero, and prunes on. What is gone is remembered by being zero, so runs can be resumed.

    Biases stay: they are few.
    """

    def __init__(self, net: Net, optimizer: Sgd2012, pruning: Pruning, total_steps: int) -> None:
        self._weights = {name: tensor for name, tensor in net.named_parameters() if is_coded(name)}
        self._optimizer, self._bytes = optimizer, pruning.bytes
        self._bits = {name: bits_of_values(most_values(net.spec, name, pruning.shared)) for name in self._weights}
        self._steps = max(1, round(pruning.until * total_steps))
        self._masks: dict[str, Tensor] = {}

    @contextmanager
    def around(self, step: int) -> Iterator[None]:
        """Update number `step` (from 0) is made inside."""
        if not self._masks:
            self._masks = {name: weight.detach() != 0 for name, weight in self._weights.items()}
        yield
        with torch.no_grad():
            if self._is_due(step):
                self._prune((step + 1) / self._steps)
            for name, weight in self._weights.items():
                weight.mul_(self._masks[name])

    def _is_due(self, step: int) -> bool:
        done, before = ((at * PRUNINGS) // self._steps for at in (step + 1, step))
        return step < self._steps and done > before

    def _prune(self, progress: float) -> None:
        velocities = self._optimizer.velocities()
        sensitivity = {name: float(velocities[name].square().mean()) for name in self._weights}
        left = {name: weight * self._masks[name] for name, weight in self._weights.items()}
        full = sum(coded_bytes(weight.numel(), weight.numel(), self._bits[name]) for name, weight in left.items())
        for name, least in thresholds(left, sensitivity, self._bits, size_at(progress, full, self._bytes)).items():
            self._masks[name] &= left[name].abs() > least


def size_at(progress: float, first: float, last: float) -> float:
    """The bytes that are left at `progress` (0 to 1) of pruning: they go fast at first, while it costs nothing.

    Source: Zhu and Gupta 2017, arXiv 1710.01878 (one minus a cubic).
    """
    return last + (first - last) * (1 - min(max(progress, 0.0), 1.0)) ** 3


def thresholds(
    weights: Mapping[str, Tensor], sensitivity: Mapping[str, float], bits: Mapping[str, float], size: float
) -> dict[str, float]:
    """The magnitude that weights of each key must exceed for those that do to take `size` bytes, at most.

    bits: of the value of one weight of each key.
    """
    roots = {key: max(sensitivity[key], 1e-30) ** 0.5 for key in weights}
    saliency = {key: weight.abs() * roots[key] for key, weight in weights.items()}
    low, high = 0.0, max(float(values.max()) for values in saliency.values())
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        found = sum(
            coded_bytes(values.numel(), int((values > middle).sum()), bits[key]) for key, values in saliency.items()
        )
        low, high = (middle, high) if found > size else (low, middle)
    return {key: high / root for key, root in roots.items()}


def coded_bytes(count: int, left: int, bits: float) -> float:
    """Of `count` weights of which `left` are not zero: which ones these are, and for each the number of its value."""
    share = left / count
    places = 0.0 if left in (0, count) else -share * log2(share) - (1 - share) * log2(1 - share)
    return CODING_LOSS * count * (places + share * bits) / 8


def bits_of_values(most: int) -> float:
    """The entropy of the numbers of `most` values. Ours: by k-means on weights that pruning has left, 0.4 to 0.8 less
    than if all were as frequent.
    """
    return log2(most) - 0.6
