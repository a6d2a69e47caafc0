"""First-layer kernels of many runs, one small file a seed, so that a population grows with every chance to train one.

The measure, fixed before any run was looked at: the colour of a tower is the share of its kernels' energy off grey, so
that every kernel counts by its energy; the specialization of a net is the difference between its towers' colours.
Specialized is a net whose difference is above what 999 of 1,000 random assignments of the same kernels to two towers
give: kernels may be of two kinds, only the towers must sort them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.errors import InputError
from alexnet.experiments.claims.kernels import Kernels, chroma_energies

QUANTILE, NUM_DRAWS, SEED = 0.999, 20_000, 2012
_FILE = re.compile(r"seed-(\d+)\.npz")


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One run: conv1's kernels float16 (K, 3, k, k), RGB, those of the first tower first; held-out errors by the last
    weights, centre view, as fractions.
    """

    seed: int
    kernels: NDArray[np.float16]
    errors: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Specialization:
    """colours: of the two towers. difference: between them, without sign. threshold: what chance gives at most."""

    colours: tuple[float, float]
    difference: float
    threshold: float

    @property
    def found(self) -> bool:
        """Whether the towers differ more than by chance."""
        return self.difference > self.threshold


def specialization(kernels: Kernels) -> Specialization:
    """Of a net's kernels (K, 3, k, k), the first half of which are the first tower's."""
    chroma, total = chroma_energies(kernels)
    first = np.arange(len(kernels)) < len(kernels) // 2
    colours = (_colour(chroma, total, first), _colour(chroma, total, ~first))
    return Specialization(colours=colours, difference=abs(colours[0] - colours[1]), threshold=_threshold(chroma, total))


def fresh_threshold(num_kernels: int, size: int) -> float:
    """What 999 of 1,000 untrained nets stay below, their kernels drawn as N(0, s^2) for any s.

    The energies off grey and on it are then independent sums of 2 and of 1 squared normals a pixel, times s^2.
    """
    rng = np.random.default_rng(SEED)
    chroma = rng.chisquare(2 * size**2, (NUM_DRAWS, num_kernels))
    total = chroma + rng.chisquare(size**2, (NUM_DRAWS, num_kernels))
    half = num_kernels // 2
    first = chroma[:, :half].sum(axis=1) / total[:, :half].sum(axis=1)
    second = chroma[:, half:].sum(axis=1) / total[:, half:].sum(axis=1)
    return float(np.quantile(np.abs(first - second), QUANTILE))


def keep(folder: Path, member: Member) -> None:
    """Write seed-N.npz into `folder`, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / f"seed-{member.seed}.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, kernels=member.kernels, errors=json.dumps(dict(member.errors)))


def read_members(folder: Path) -> list[Member]:
    """All that are there, by seed.

    Raises:
        InputError: a damaged file.
    """
    found = {int(match[1]): path for path in folder.glob("*.npz") if (match := _FILE.fullmatch(path.name))}
    return [_read(seed, found[seed]) for seed in sorted(found)]


def _read(seed: int, path: Path) -> Member:
    try:
        with np.load(path, allow_pickle=False) as kept:
            errors: dict[str, Any] = json.loads(str(kept["errors"]))
            return Member(seed=seed, kernels=kept["kernels"], errors=errors)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it, and its seed will be run again") from None


def _colour(chroma: NDArray[np.float64], total: NDArray[np.float64], tower: NDArray[np.bool_]) -> float:
    return float(chroma[tower].sum() / total[tower].sum())


def _threshold(chroma: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """The quantile of the difference over random assignments of the kernels to two towers."""
    rng, count = np.random.default_rng(SEED), len(chroma)
    orders = rng.permuted(np.tile(np.arange(count), (NUM_DRAWS, 1)), axis=1)
    first = orders[:, : count // 2]
    chroma_first, total_first = chroma[first].sum(axis=1), total[first].sum(axis=1)
    apart = chroma_first / total_first - (chroma.sum() - chroma_first) / (total.sum() - total_first)
    return float(np.quantile(np.abs(apart), QUANTILE))
