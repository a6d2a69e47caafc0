"""Norms of parts of a row, and of the whole: Caffe has no windows that stop between groups, and cuts the maps apart."""

from collections.abc import Mapping
from dataclasses import replace

from alexnet.arch.rows import Concat, Lrn, Row, Select
from alexnet.arch.shapes import Shape


def joined_norms(rows: list[Row], shapes: Mapping[str, Shape]) -> list[Row]:
    """Where equal parts of a row are normalized alike and stacked again, one norm with as many groups does it.

    The parts stay in their places, for whoever else reads them. `shapes`: of each row's output, and of the image.
    """
    by_name = {row.name: row for row in rows}
    return [_joined(row, by_name, shapes) or row if isinstance(row, Concat) else row for row in rows]


def _joined(concat: Concat, by_name: Mapping[str, Row], shapes: Mapping[str, Shape]) -> Lrn | None:
    norms = [norm for name in concat.inputs if isinstance(norm := by_name.get(name), Lrn)]
    parts = [part for norm in norms if isinstance(part := by_name.get(norm.inputs[0]), Select)]
    if not len(parts) == len(concat.inputs) > 1:
        return None
    alike = len({replace(norm, name="", inputs=()) for norm in norms}) == len({part.inputs for part in parts}) == 1
    in_order = [channel for part in parts for channel in part.channels]
    whole = list(range(shapes[parts[0].inputs[0]][0]))
    if not alike or in_order != whole or len({len(part.channels) for part in parts}) > 1:
        return None
    groups = norms[0].groups * len(norms)
    return replace(norms[0], name=concat.name, inputs=parts[0].inputs, groups=groups)
