"""First-layer kernels of many runs, one small file a seed, so that a population grows with every chance to train one.

The measure and its threshold, fixed before any run was looked at: the colour of a tower is the share of its kernels'
energy off grey, so that every kernel counts by its energy; the specialization of a net is the difference between its
towers' colours. Specialized is a net whose difference is above what 999 of 1,000 random assignments of the same kernels
to two towers give: kernels may be of two kinds, only the towers must sort them. Noise kernels, which stay below a far
lower bound, would not do for that: a few strong coloured kernels on one side, as chance puts them, pass it without any
towers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.npz import read_array, read_words
from alexnet.errors import DataError, InputError
from alexnet.experiments.claims.kernels import Kernels, chroma_energies, chroma_shares

QUANTILE, NUM_DRAWS, SEED = 0.999, 20_000, 2012


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One run: conv1's kernels float16 (K, 3, k, k), RGB, those of the first tower first; held-out errors by the last
    weights, centre view, as fractions. facts: of the run, as `facts_of` its folder has them, the machine too.
    """

    seed: int
    kernels: NDArray[np.float16]
    errors: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Specialization:
    """colours: of the two towers. difference: between them, without sign. threshold: what chance gives at most.
    sorted_difference: what it would be, had the towers shared out the same kernels by colour.
    """

    colours: tuple[float, float]
    difference: float
    threshold: float
    sorted_difference: float

    @property
    def found(self) -> bool:
        """Whether the towers differ more than by chance."""
        return self.difference > self.threshold


def specialization(kernels: Kernels) -> Specialization:
    """Of a net's kernels (K, 3, k, k), the first half of which are the first tower's."""
    chroma, total = chroma_energies(kernels)
    by_colour = np.argsort(chroma_shares(kernels))
    colours, sorted_colours = _colours(chroma, total), _colours(chroma[by_colour], total[by_colour])
    return Specialization(
        colours=colours,
        difference=abs(colours[0] - colours[1]),
        threshold=_threshold(chroma, total),
        sorted_difference=abs(sorted_colours[0] - sorted_colours[1]),
    )


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
    errors, facts = (np.array([json.dumps(dict(mapping))]) for mapping in (member.errors, member.facts))
    with write_whole(_path(folder, member.seed)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, kernels=member.kernels, errors=errors, facts=facts)


def read_member(folder: Path, seed: int) -> Member | None:
    """What is kept of one run; None if nothing is.

    Raises:
        InputError: a damaged file, or one whose kernels are not those of two towers.
    """
    path = _path(folder, seed)
    if not path.is_file():
        return None
    try:
        kernels = read_array(path, "kernels", np.float16, (None, 3, None, None))
        errors, facts = (_read_mapping(path, name) for name in ("errors", "facts"))
    except DataError as error:
        raise InputError(f"{error}; delete it, and this seed will be run again") from None
    count, _, height, width = kernels.shape
    if not count or count % 2 or height != width or not np.isfinite(kernels).all():
        raise InputError(f"{path}: {kernels.shape} are no kernels of two towers; delete it, and this seed is run again")
    return Member(seed=seed, kernels=kernels, errors=errors, facts=facts)


def _path(folder: Path, seed: int) -> Path:
    return folder / f"seed-{seed}.npz"


def _read_mapping(path: Path, name: str) -> dict[str, Any]:
    [text] = read_words(path, name, 1)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: damaged, {name} is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: damaged, {name} is no table")
    return found


def _colours(chroma: NDArray[np.float64], total: NDArray[np.float64]) -> tuple[float, float]:
    """Of the first and of the second half of the kernels."""
    first, second = chroma.reshape(2, -1).sum(axis=1) / total.reshape(2, -1).sum(axis=1)
    return float(first), float(second)


def _threshold(chroma: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    """The quantile of the difference over random assignments of the kernels to two towers."""
    rng, count = np.random.default_rng(SEED), len(chroma)
    orders = rng.permuted(np.tile(np.arange(count), (NUM_DRAWS, 1)), axis=1)
    first = orders[:, : count // 2]
    chroma_first, total_first = chroma[first].sum(axis=1), total[first].sum(axis=1)
    apart = chroma_first / total_first - (chroma.sum() - chroma_first) / (total.sum() - total_first)
    return float(np.quantile(np.abs(apart), QUANTILE))
