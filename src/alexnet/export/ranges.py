"""Which range of a value its 256 steps are spent on: seen on real images, and clipped where that loses least."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = 255

_SAMPLES_PER_BATCH = 20_000  # of a value; ours: a hundredth of conv1's, and enough for the fifth digit of an error
_SHARES = np.linspace(0.3, 1.0, 36)  # of the whole range that are tried


@dataclass(frozen=True)
class UInt8Scale:
    """value = scale * (level - zero_point), levels 0 to 255."""

    scale: float
    zero_point: int

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is left of `values` (...) after a quantization."""
        levels = np.clip(np.rint(values / np.float32(self.scale)) + self.zero_point, 0, LEVELS)
        result: NDArray[np.float32] = ((levels - self.zero_point) * self.scale).astype(np.float32)
        return result


def spanning(low: float, high: float) -> UInt8Scale:
    """Steps from `low` to `high`, 0 always one of them: it is what padding is, and most of what a ReLU gives."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / LEVELS or 1.0
    return UInt8Scale(scale, round(-low / scale))


class Observed:
    """A value over batches: its extremes, and a sample of it that is the same in every run."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self._samples: list[NDArray[np.float32]] = []

    @property
    def is_finite(self) -> bool:
        """Has anything been seen, and only numbers?"""
        return bool(np.isfinite([self.low, self.high]).all())

    def add(self, values: NDArray[np.float32]) -> None:
        """Take one batch (N, ...) into account."""
        flat = values.reshape(-1)
        self.low, self.high = float(np.minimum(self.low, flat.min())), float(np.maximum(self.high, flat.max()))
        step = max(1, flat.size // _SAMPLES_PER_BATCH) | 1  # odd: not the same place of every row or map
        self._samples.append(flat[::step].copy())

    def scale(self, is_clipped: bool) -> UInt8Scale:
        """The range of least squared error. `is_clipped`: a ReLU comes next, values below zero do not count."""
        samples = np.concatenate(self._samples)
        low = 0.0 if is_clipped else self.low
        samples = np.maximum(samples, 0) if is_clipped else samples
        tried = [spanning(low * share, self.high * share) for share in _SHARES.tolist()]
        losses = [float(np.square(samples - each.rounded(samples)).mean()) for each in tried]
        return tried[int(np.argmin(losses))]
