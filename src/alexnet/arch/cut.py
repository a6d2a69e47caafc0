"""A net cut into parts: which outputs of every row a part computes, and where it needs what the others have found.

Every row with weights is cut by its outputs, so that each number of the net is in one part alone, and a filter whole.
Rows without groups read the whole of what is above them: there activations cross. Cut in two, net 145 is the net of
2012: two towers that meet in conv3, fc6, fc7 and fc8. Standard library only.

Source: paper sec. 3.2 and 3.5; 2012 release, layers-145.cfg. Differs: fc8, there on one device, is cut as all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from alexnet.arch.rows import (
    AdaptiveAvgPool,
    Blur,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Logistic,
    Lrn,
    Mirror,
    Pool,
    RandomPool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
    Subsample,
    Tanh,
    Weighted,
)
from alexnet.arch.shapes import RowShape, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError
from alexnet.spans import Span, spans

# Rows that make of each map, or unit, one of their own: a part makes its own of its own.
_MAP_BY_MAP = (
    SameMapNorm, ContrastNorm, Pool, RandomPool, AdaptiveAvgPool, Relu, Tanh, Logistic, Blur, Subsample, Mirror,
    Dropout, Softmax,
)  # fmt: skip


@dataclass(frozen=True)
class CutRow:
    """A row of a net in parts. parts: the row as each part has it, measured; spans: its outputs.

    crosses: every part needs all of what the row reads, not only what it has found itself.
    """

    whole: RowShape
    parts: tuple[RowShape, ...]
    spans: tuple[Span, ...]
    crosses: bool

    @property
    def name(self) -> str:
        """The row's."""
        return self.whole.row.name

    @property
    def is_cut(self) -> bool:
        """Whether each part has only some of the outputs; else each has all of them."""
        return self.spans[0].size < self.spans[0].total


def cut(spec: Spec, num_parts: int) -> tuple[CutRow, ...]:
    """The rows of `spec`, each in `num_parts` parts.

    Raises:
        SpecError: a row that reads across parts in a way that none of them can alone, or has too few outputs.
    """
    is_cut = {IMAGE: False}
    rows = []
    for shape in measure(spec):
        row = _cut_row(spec, shape, is_cut, num_parts)
        is_cut[row.name] = row.is_cut
        rows.append(row)
    return tuple(rows)


def _cut_row(spec: Spec, shape: RowShape, is_cut: Mapping[str, bool], num_parts: int) -> CutRow:
    reads_parts = [is_cut[name] for name in shape.inputs]
    outputs = spans(shape.output[0], num_parts)
    match row := shape.row:
        case Conv() | Fc() if row.groups == 1:
            if outputs[-1].size == 0:
                raise SpecError(
                    f"{spec.name}: row {row.name} has {shape.output[0]} outputs, too few for {num_parts} parts"
                )
            parts = tuple(_part(shape, _with_outputs(row, span.size), span, shape.input) for span in outputs)
            return CutRow(shape, parts, outputs, crosses=any(reads_parts))
        case Conv() | Fc() | Lrn() if (reads_parts == [True] or num_parts == 1) and row.groups % num_parts == 0:
            channels, height, width = shape.input
            read = (channels // num_parts, height, width)
            half = replace(row, groups=row.groups // num_parts)
            parts = tuple(
                _part(shape, half if isinstance(half, Lrn) else _with_outputs(half, span.size), span, read)
                for span in outputs
            )
            return CutRow(shape, parts, outputs, crosses=False)
        case _ if not any(reads_parts) and not isinstance(row, Weighted):
            return CutRow(shape, (shape,) * num_parts, (Span(0, shape.output[0], shape.output[0]),) * num_parts, False)
        case _ if reads_parts == [True] and isinstance(row, _MAP_BY_MAP):
            parts = tuple(_part(shape, row, span, (span.size, *shape.input[1:])) for span in outputs)
            return CutRow(shape, parts, outputs, crosses=False)
        case _:
            raise SpecError(
                f"{spec.name}: row {row.name} reads across the {num_parts} parts in a way that none of them can alone"
            )


def _part(shape: RowShape, row: Row, span: Span, read: tuple[int, int, int]) -> RowShape:
    """What a part has of a measured row. Its multiply-adds are its share of the whole."""
    return replace(
        shape,
        row=row,
        input=read,
        output=(span.size, *shape.output[1:]),
        weight=(span.size, *shape.weight[1:]) if shape.weight else (),
        bias=(span.size, *shape.bias[1:]) if shape.bias else (),
        macs=shape.macs * span.size // span.total,
    )


def _with_outputs(row: Conv | Fc, outputs: int) -> Conv | Fc:
    return replace(row, out_features=outputs) if isinstance(row, Fc) else replace(row, out_channels=outputs)


class Halves(NamedTuple):
    """A net as what comes before its first fc row and what begins with it. `last`: what the head has for an image."""

    trunk: tuple[str, ...]
    last: str
    head: Spec


def at_first_fc(spec: Spec) -> Halves:
    """The convolutions of a net, and its fc rows as a net of their own.

    Raises:
        SpecError: the fc rows read more than one row above them.
    """
    shapes = measure(spec)
    first = next(place for place, shape in enumerate(shapes) if isinstance(shape.row, Fc))
    above, below = shapes[:first], shapes[first:]
    names = {shape.row.name for shape in above}
    if len(read := {name for shape in below for name in shape.inputs if name in names or name == IMAGE}) != 1:
        raise SpecError(
            f"{spec.name}: its fc rows read {', '.join(sorted(read))}; they can be parted from one row alone"
        )
    (last,) = read
    rows = tuple(
        replace(shape.row, inputs=tuple(IMAGE if name == last else name for name in shape.inputs)) for shape in below
    )
    read_from = next(shape.output for shape in above if shape.row.name == last)
    return Halves(tuple(shape.row.name for shape in above), last, replace(spec, input=read_from, rows=rows))
