"""Two towers and one net: the 2012 files write every layer twice, our tables once, with two groups.

`merge` finds the pairs by what they read, never by their names or places, and `split` writes a net out as two towers.
Both say where the weights go: a merged row's outputs are those of the first tower, then those of the second, and so are
the inputs of whoever reads both. A net that would compute something else after either is refused: two rows of a tower,
stacked, are no half of the same two rows in one. Standard library only.

Source: 2012 release, layers-145.cfg (whose fc2048bb lists the second tower first).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import prod
from typing import NamedTuple

from alexnet.arch.rows import (
    AdaptiveAvgPool,
    Blur,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Local,
    Logistic,
    Lrn,
    Mirror,
    Pool,
    Relu,
    Row,
    SameMapNorm,
    Subsample,
    Sum,
    Tanh,
    Weighted,
)
from alexnet.arch.shapes import RowShape, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError

TOWERS, ENDINGS = 2, "ab"

# Rows that make each map of the one map of the same number: half of the maps in, half of the maps out.
_MAP_BY_MAP = (
    SameMapNorm, ContrastNorm, Pool, AdaptiveAvgPool, Relu, Tanh, Logistic, Blur, Subsample, Mirror, Dropout,
)  # fmt: skip


class Piece(NamedTuple):
    """A row of the net in two towers that makes up a merged one. columns: its inputs as ranges, in the merged order."""

    row: str
    outputs: int
    columns: tuple[range, ...]


@dataclass(frozen=True)
class Merged:
    """A net in one, and of what pieces each of its rows with weights is made, its outputs one after another."""

    spec: Spec
    pieces: Mapping[str, tuple[Piece, ...]]


def merge(spec: Spec) -> Merged:
    """The net whose two towers `spec` has written out; a net without any is merged into itself.

    Raises:
        SpecError: the towers differ, or a row reads them as no row of one net can.
    """
    return _Merger(spec).merge()


class _Merger:
    """One pass over the rows in order. `parts`: of a merged row, the one row that it is, or its first and second half.

    `merged`: the merged row that a row is part of.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.shapes = {shape.row.name: shape for shape in measure(spec)}
        self.rows: list[Row] = []
        self.parts: dict[str, tuple[str, ...]] = {IMAGE: (IMAGE,)}
        self.merged: dict[str, str] = {IMAGE: IMAGE}

    def merge(self) -> Merged:
        for position, row in enumerate(self.spec.rows):
            if row.name not in self.merged:
                self._put(self._pair(row, self.spec.rows[position + 1 :]))
        merged = replace(self.spec, rows=chained(self.rows))
        self._check(merged)
        return Merged(merged, {row.name: self._pieces(row) for row in self.rows if isinstance(row, Weighted)})

    def _pair(self, row: Row, below: Iterable[Row]) -> tuple[Row, ...]:
        """The row, with that of the other tower if there is one; the first tower's before the second's."""
        read = self._read(row)
        wanted = {self._twin(name) for name in read}
        for other in below:
            if other.name not in self.merged and set(self._read(other)) == wanted and _alike(row, other):
                return (other, row) if {self._half(name) for name in read} == {1} else (row, other)
        return (row,)

    def _read(self, row: Row) -> tuple[str, ...]:
        return self.shapes[row.name].inputs

    def _half(self, name: str) -> int | None:
        """Which half of its merged row a row is; None where it is all of it."""
        parts = self.parts[self.merged[name]]
        return parts.index(name) if len(parts) == TOWERS else None

    def _twin(self, name: str) -> str:
        """The row in the other tower, or the row itself where it is in none."""
        parts = self.parts[self.merged[name]]
        return parts[::-1][parts.index(name)]

    def _put(self, pair: tuple[Row, ...]) -> None:
        name = self._name(pair)
        self.rows.append(replace(self._joined(pair), name=name))
        self.parts[name] = tuple(each.name for each in pair)
        self.merged |= dict.fromkeys(self.parts[name], name)

    def _joined(self, pair: tuple[Row, ...]) -> Row:
        """The row of the net in one, but for its name: it reads merged rows, and has the outputs of the whole pair."""
        row, halves, read = pair[0], len(pair), self._read(pair[0])
        inputs = tuple(dict.fromkeys(self.merged[name] for name in read))
        order = self._in_order(inputs)
        reads_all = all(sorted(self._read(each)) == sorted(order) for each in pair)
        match row:
            case Sum() if self._in_step(pair):
                return replace(row, inputs=tuple(self.merged[name] for name in read))
            case Sum():
                raise self._refusal(row, "adds up what is not in one tower, or not in one order")
            case Conv() | Fc() if reads_all and row.groups == 1:
                return replace(_with_outputs(row, _outputs(row) * halves), inputs=inputs)
            case _ if reads_all and halves == 1 and list(read) == order:
                return replace(row, inputs=inputs)
            case _ if halves == 1 and not reads_all:
                raise self._refusal(row, "is in one tower alone; only equal towers can be merged")
            case Conv() | Fc() if self._in_step(pair) and len(read) == 1:
                whole = _with_outputs(row, _outputs(row) * halves)
                return replace(whole, inputs=inputs, groups=row.groups * halves)
            case Lrn() if self._in_step(pair) and len(read) == 1:
                return replace(row, inputs=inputs, groups=row.groups * halves)
            case _ if self._in_step(pair) and len(read) == 1 and isinstance(row, _MAP_BY_MAP):
                return replace(row, inputs=inputs)
            case _:
                raise self._refusal(row, f"reads the towers as no {row.kind} row of one net can")

    def _in_order(self, inputs: Iterable[str]) -> list[str]:
        """The rows whose outputs the merged rows `inputs` stack, in that order."""
        return [part for name in inputs for part in self.parts[name]]

    def _in_step(self, pair: tuple[Row, ...]) -> bool:
        """Whether each row reads its own tower alone, in the same order; a row of no tower, what is in none either."""
        halves = (None,) if len(pair) == 1 else range(TOWERS)
        orders = {tuple(self.merged[name] for name in self._read(each)) for each in pair}
        return len(orders) == 1 and all(
            self._half(name) == half for each, half in zip(pair, halves, strict=True) for name in self._read(each)
        )

    def _pieces(self, row: Row) -> tuple[Piece, ...]:
        order = self._in_order(row.inputs)
        return tuple(
            Piece(name, _outputs(self.shapes[name].row), self._columns(self.shapes[name], order))
            for name in self.parts[row.name]
        )

    def _columns(self, shape: RowShape, order: Iterable[str]) -> tuple[range, ...]:
        """Where in the row's inputs those of each of its sources are, in this order of the sources."""
        read = [self.spec.input if name == IMAGE else self.shapes[name].output for name in shape.inputs]
        ends = accumulate((_width(shape, each) for each in read), initial=0)
        found = dict(zip(shape.inputs, (range(start, stop) for start, stop in pairwise(ends)), strict=True))
        return tuple(found[name] for name in order if name in found)

    def _name(self, pair: tuple[Row, ...]) -> str:
        """What the names of a pair have in common, if no row is called so."""
        if len(pair) == 1:
            return pair[0].name
        first, second = (row.name for row in pair)
        start = next((i for i, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), len(first))
        common = f"{first[:start]}{first[start + 1 :]}" if first[start + 1 :] == second[start + 1 :] else first[:start]
        taken = self.parts.keys() | self.shapes.keys() - {first, second}
        return common if common.isidentifier() and common not in taken else first

    def _check(self, merged: Spec) -> None:
        """The last safeguard: every row gives, and has weights, as large as its parts laid together."""
        for shape in measure(merged):
            parts = [self.shapes[name] for name in self.parts[shape.row.name]]
            for what in ("output", "weight", "bias"):
                whole, of_parts = getattr(shape, what), [getattr(part, what) for part in parts]
                if not _is_laid_of(whole, of_parts):
                    raise self._refusal(shape.row, f"would have {what} {whole} where its towers have {of_parts}")

    def _refusal(self, row: Row, why: str) -> SpecError:
        return SpecError(f"{self.spec.name}: row {row.name} {why}")


def split(spec: Spec) -> Merged:
    """The net that `merge` makes `spec` of: two towers, the second's rows called as the first's but for an ending.

    Rows without groups read both towers. The classifier, and what stands before the first convolution, is not in any.

    Raises:
        SpecError: a row that belongs to neither one tower nor both, such as a norm across the maps of both.
    """
    rows: list[Row] = []
    halves: dict[str, tuple[str, ...]] = {IMAGE: (IMAGE,)}  # by row of `spec`
    for row in spec.rows:
        inputs = spec.inputs_of(row)
        made = _halves(spec, row, [halves[name] for name in inputs])
        rows += made
        halves[row.name] = tuple(each.name for each in made)
    towers = replace(spec, rows=chained(rows))
    merged = merge(towers)
    if renamed_as(merged.spec, spec) is None:
        raise SpecError(f"{spec.name} cannot be written as two towers")
    return replace(merged, spec=towers)


def _halves(spec: Spec, row: Row, read: list[tuple[str, ...]]) -> list[Row]:
    """The rows that `row` becomes: two, or the row itself where it is in no tower."""
    half: Row
    both = tuple(name for names in read for name in names)
    is_split = any(len(names) == TOWERS for names in read)
    match row:
        case Conv() | Fc() if row.groups == 1 and row.name != spec.classifier.name:
            whole = replace(_with_outputs(row, _outputs(row) // TOWERS), inputs=both)
            return [replace(whole, name=_half(row, tower)) for tower in range(TOWERS)]
        case Fc() if row.groups == 1:
            return [replace(row, inputs=both)]
        case _ if not is_split:
            return [replace(row, inputs=both)]
        case Sum() if all(len(names) == TOWERS for names in read):
            half = row
        case Conv() | Fc() if row.groups % TOWERS == 0 and len(read) == 1:
            half = replace(_with_outputs(row, _outputs(row) // TOWERS), groups=row.groups // TOWERS)
        case Lrn() if row.groups % TOWERS == 0 and len(read) == 1:
            half = replace(row, groups=row.groups // TOWERS)
        case _ if isinstance(row, _MAP_BY_MAP) and len(read) == 1:
            half = row
        case _:
            raise SpecError(f"{spec.name}: row {row.name} reads both towers in a way that none of them can alone")
    by_tower = zip(*read, strict=True)
    return [replace(half, name=_half(row, tower), inputs=inputs) for tower, inputs in enumerate(by_tower)]


def _half(row: Row, tower: int) -> str:
    return f"{row.name}{ENDINGS[tower]}"


def _with_outputs(row: Conv | Fc, outputs: int) -> Conv | Fc:
    return replace(row, out_features=outputs) if isinstance(row, Fc) else replace(row, out_channels=outputs)


def _alike(row: Row, other: Row) -> bool:
    return type(row) is type(other) and replace(row, name=other.name, inputs=other.inputs) == other


def _outputs(row: Row) -> int:
    assert isinstance(row, Conv | Fc | Local)
    return row.out_features if isinstance(row, Fc) else row.out_channels


def _width(shape: RowShape, read: tuple[int, int, int]) -> int:
    """How many columns of a row's weights one of its inputs takes."""
    return prod(read) if isinstance(shape.row, Fc) else read[0]


def _is_laid_of(whole: tuple[int, ...], parts: Sequence[tuple[int, ...]]) -> bool:
    """Whether arrays of the shapes `parts`, one after another, have the shape `whole`."""
    return {part[1:] for part in parts} == {whole[1:]} and sum(sum(part[:1]) for part in parts) == sum(whole[:1])


def chained(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows that read the one above say so by naming nothing, as our tables do."""
    found: list[Row] = []
    for row in rows:
        above = found[-1].name if found else IMAGE
        found.append(replace(row, inputs=()) if row.inputs == (above,) else row)
    return tuple(found)


def renamed_as(spec: Spec, known: Spec) -> dict[str, str] | None:
    """The names that `known` has for the rows of `spec`, where the two are equal in all but names; else None."""
    if spec.input != known.input or len(spec.rows) != len(known.rows):
        return None
    names = {IMAGE: IMAGE}
    for row, other in zip(spec.rows, known.rows, strict=True):
        if tuple(names[read] for read in spec.inputs_of(row)) != known.inputs_of(other) or not _alike(row, other):
            return None
        names[row.name] = other.name
    return names
