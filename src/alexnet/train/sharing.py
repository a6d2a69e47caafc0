"""Weights that share values while a net trains: of each row few are left, found by k-means in one dimension.

Source: Han, Mao and Dally 2016, arXiv 1510.00149, sec. 3 (linear initialization: large weights matter, and are few).
Differs: a shared value moves by the mean of its weights' updates and not by their sum, which suits the usual rates.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.arch.rows import Fc
from alexnet.arch.spec import Spec
from alexnet.nn import Net
from alexnet.recipes import SharedValues
from alexnet.weights.packed import is_coded

_MOST_ROUNDS = 100
_STILL = 1e-5  # of the range. Ours: less than float16, in which values are stored, tells apart


class ValueSharer:
    """Keeps weights that share a value equal, and zeros zero. Equal ones share: a resumed run needs to know no more."""

    def __init__(self, net: Net, shared: SharedValues) -> None:
        self._weights = {name: tensor for name, tensor in net.named_parameters() if is_coded(name)}
        self._most = {name: most_values(net.spec, name, shared) for name in self._weights}
        self._left: dict[str, Tensor] = {}
        self._codes: dict[str, Tensor] = {}

    @contextmanager
    def around(self, _: int) -> Iterator[None]:
        """An update is made inside."""
        if not self._left:
            self._begin()
        yield
        with torch.no_grad():
            for name, weight in self._weights.items():
                values = weight[self._left[name]]
                weight.zero_().masked_scatter_(self._left[name], _averaged(values, self._codes[name]))

    def _begin(self) -> None:
        for name, weight in self._weights.items():
            self._left[name] = weight.detach() != 0
            values = weight.detach()[self._left[name]]
            distinct, codes = torch.unique(values, return_inverse=True)
            if len(distinct) > self._most[name]:
                array = values.float().cpu().numpy()
                codes = torch.from_numpy(nearest(array, centres_of(array, self._most[name]))).to(values.device)
            self._codes[name] = codes


def most_values(spec: Spec, key: str, shared: SharedValues) -> int:
    """How many values the weights `key` of a net may have besides zero."""
    return shared.fc if isinstance(spec[key.split(".")[0]], Fc) else shared.conv


def centres_of(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most `most` centres, in order, each the mean of the values (n,) that are nearest to it.

    With values sorted and summed up once, a round of Lloyd's algorithm is a search for `most` borders, however many
    values there are.
    """
    values = np.sort(values)
    if not len(values):
        return np.zeros(0, np.float32)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    centres = np.linspace(values[0], values[-1], most)
    for _ in range(_MOST_ROUNDS):
        borders = _borders(values, centres)
        counts = np.diff(borders)
        means = np.divide(np.diff(sums[borders]), counts, out=centres.copy(), where=counts > 0)
        moved, centres = float(np.abs(means - centres).max()), means
        if moved <= _STILL * float(values[-1] - values[0]):
            break
    return centres[np.diff(_borders(values, centres)) > 0].astype(np.float32)


def nearest(values: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which of the ordered centres is nearest to each value."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)


def _borders(values: NDArray[np.float32], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where in the ordered values those of each centre begin, and where the last end."""
    inner = np.searchsorted(values, (centres[1:] + centres[:-1]) / 2)
    return np.concatenate([[0], inner, [len(values)]])


def _averaged(values: Tensor, codes: Tensor) -> Tensor:
    """Each of the values (n,) as the mean of those of its code."""
    counts = torch.bincount(codes)
    sums = torch.zeros(len(counts), dtype=torch.float64, device=values.device)
    means = sums.index_add_(0, codes, values.double()) / counts.clamp_min(1)
    return means.to(values.dtype)[codes]
