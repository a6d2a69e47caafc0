"""Two towers and one net: the 2012 files write every layer twice, our tables once, with two groups.

`merge` finds the pairs by what they read, never by their names or places, and `split` writes a net out as two towers.
Both say where the weights go: a merged row's outputs are those of the first tower, then those of the second, and so are
the inputs of whoever reads both. Standard library only.

Source: 2012 release, layers-145.cfg (whose fc2048bb lists the second tower first).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from alexnet.arch.rows import Concat, Conv, Fc, Local, Lrn, Row, Select, Sum, Weighted
from alexnet.arch.shapes import RowShape, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError

TOWERS, ENDINGS = 2, "ab"


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
        SpecError: the towers differ.
    """
    return _Merger(spec).merge()


class _Merger:
    """One pass over the rows in order. `twin`: the same row in the other tower; `first`: rows of the first tower."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.shapes = {shape.row.name: shape for shape in measure(spec)}
        self.twin: dict[str, str] = {}
        self.first: set[str] = set()
        self.merged: dict[str, str] = {IMAGE: IMAGE}  # name of the merged row, by row
        self.rows: list[Row] = []
        self.pieces: dict[str, tuple[Piece, ...]] = {}

    def merge(self) -> Merged:
        rows = list(self.spec.rows)
        for row in rows:
            if row.name not in self.merged:
                self._take(row, rows)
        return Merged(replace(self.spec, rows=chained(self.rows)), self.pieces)

    def _take(self, row: Row, rows: list[Row]) -> None:
        twin = self._find_twin(row, rows)
        if twin is None:
            self._put(row, (row,))
            return
        self.twin |= {row.name: twin.name, twin.name: row.name}
        read = self.spec.inputs_of(row)
        is_second = any(name in self.twin and name not in self.first for name in read) and not self._reads_both(row)
        pair = (twin, row) if is_second else (row, twin)
        self.first.add(pair[0].name)
        self._put(row, pair)

    def _find_twin(self, row: Row, rows: list[Row]) -> Row | None:
        """The row below that reads in the other tower what `row` reads in its own."""
        wanted = {self.twin.get(name, name) for name in self.spec.inputs_of(row)}
        for other in rows[rows.index(row) + 1 :]:
            if other.name not in self.merged and set(self.spec.inputs_of(other)) == wanted and _alike(row, other):
                return other
        return None

    def _reads_both(self, row: Row) -> bool:
        """Whether what the row reads is the same seen from either tower."""
        read = set(self.spec.inputs_of(row))
        return {self.twin.get(name, name) for name in read} == read

    def _put(self, row: Row, pair: tuple[Row, ...]) -> None:
        both = self._reads_both(row)
        if len(pair) == 1 and not both:
            raise SpecError(f"{self.spec.name}: row {row.name} is in one tower alone; only equal towers can be merged")
        name = self._name(pair)
        inputs = tuple(dict.fromkeys(self.merged[read] for read in self.spec.inputs_of(pair[0])))
        self.rows.append(self._joined(row, pair, both, name, inputs))
        for each in pair:
            self.merged[each.name] = name
        if isinstance(row, Weighted):
            self.pieces[name] = tuple(Piece(each.name, _outputs(each), self._columns(each)) for each in pair)

    def _joined(self, row: Row, pair: tuple[Row, ...], both: bool, name: str, inputs: tuple[str, ...]) -> Row:
        halves = len(pair)
        match row:
            case Local() | Select() | Concat() if halves == 2:
                raise SpecError(f"{self.spec.name}: {row.kind} rows in two towers ({row.name}) cannot be merged")
            case Conv() | Fc():
                groups = row.groups if both else row.groups * halves
                if row.groups > 1 and both and (halves == 2 or len(self.spec.inputs_of(row)) > 1):
                    raise SpecError(f"{self.spec.name}: row {row.name} has groups of both towers, and cannot be merged")
                whole = _with_outputs(replace(row, groups=groups), _outputs(row) * halves)
                return replace(whole, name=name, inputs=inputs)
            case Lrn():
                return replace(row, name=name, inputs=inputs, groups=row.groups * halves)
            case Sum() if halves == 2 and len(inputs) != len(self.spec.inputs_of(row)):
                raise SpecError(f"{self.spec.name}: row {row.name} adds up both towers, and cannot be merged")
            case _ if halves == 1 and list(self._columns(row)) != sorted(self._columns(row), key=lambda r: r.start):
                raise SpecError(f"{self.spec.name}: row {row.name} stacks the second tower first, and cannot be merged")
            case _:
                return replace(row, name=name, inputs=inputs)

    def _columns(self, row: Row) -> tuple[range, ...]:
        """Where in the row's inputs those of each of its sources are, the first tower before the second."""
        shape, start, found = self.shapes[row.name], 0, {}
        for name in shape.inputs:
            width = _width(shape, self.spec.input if name == IMAGE else self.shapes[name].output)
            found[name] = range(start, start + width)
            start += width
        ordered: list[str] = []
        for name in shape.inputs:
            pair = {name, self.twin.get(name, name)} & found.keys()
            ordered += [each for each in sorted(pair, key=lambda each: each not in self.first) if each not in ordered]
        return tuple(found[name] for name in ordered)

    def _name(self, pair: tuple[Row, ...]) -> str:
        """What the names of a pair have in common, if no row is called so."""
        if len(pair) == 1:
            return pair[0].name
        first, second = (row.name for row in pair)
        start = next((i for i, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), len(first))
        common = f"{first[:start]}{first[start + 1 :]}" if first[start + 1 :] == second[start + 1 :] else first[:start]
        taken = {row.name for row in self.rows} | {row.name for row in self.spec.rows} - {first, second}
        return common if common.isidentifier() and common not in taken else first


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
        case Conv() | Fc() if row.name == spec.classifier.name and row.groups == 1:
            return [replace(row, inputs=both)]
        case Conv() | Fc() if row.groups % TOWERS == 0 and is_split:
            half = _with_outputs(replace(row, groups=row.groups // TOWERS), _outputs(row) // TOWERS)
        case Conv() | Fc() if row.groups == 1:
            return [
                replace(_with_outputs(row, _outputs(row) // TOWERS), name=_half(row, i), inputs=both) for i in (0, 1)
            ]
        case Lrn() if is_split and row.groups % TOWERS == 0:
            half = replace(row, groups=row.groups // TOWERS)
        case Lrn() | Select() | Concat() | Local() if is_split:
            raise SpecError(f"{spec.name}: row {row.name} reads both towers in a way that none of them can alone")
        case _ if not is_split:
            return [replace(row, inputs=both)]
        case _:
            half = row
    by_tower = zip(*(names if len(names) == TOWERS else names * TOWERS for names in read), strict=True)
    return [replace(half, name=_half(row, i), inputs=inputs) for i, inputs in enumerate(by_tower)]


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
