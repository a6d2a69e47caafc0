"""A net as the table that the paper and Arm's guide print: as JSON, or as text. Standard library only."""

from math import prod
from typing import Any

from alexnet.arch import find
from alexnet.arch.shapes import RowShape, Shape, measure, total_macs, total_neurons, total_params
from alexnet.arch.spec import Spec

_SETTINGS = ("kernel_size", "stride", "padding", "groups")
_HEADER = ("row", "kind", "output", "kernel", "stride", "padding", "groups", "params", "MACs", "neurons", "memory")
_LEFT = 2  # columns of words; the others are numbers and end at the right

PAPER_BATCH_SIZE = 128  # sec. 5


def net_json(spec: Spec) -> dict[str, Any]:
    """`spec` with its sizes and costs; what a row has no setting for is None."""
    rows = measure(spec)
    return {
        "name": spec.name,
        "source": spec.source,
        "input": list(spec.input),
        "rows": [_row_json(row) for row in rows],
        **totals(spec),
    }


def totals(spec: Spec) -> dict[str, int]:
    """`params`, `macs` (multiply-adds of one image's forward pass) and `neurons` of the whole net."""
    return {"params": total_params(spec), "macs": total_macs(spec), "neurons": total_neurons(spec)}


def summary(net: str | Spec) -> str:
    """The layer table of a net, named as in `krizhevsky-145+no-lrn`, as text.

    Raises:
        UnknownNameError: no such net or ablation.
        SpecError: an ablation that is undefined for the net.
    """
    return layer_table(find(net) if isinstance(net, str) else net)


def layer_table(spec: Spec, *, batch_size: int = PAPER_BATCH_SIZE) -> str:
    """The rows of `spec` as text; the memory of a row is that of its float32 output for `batch_size` images."""
    rows = measure(spec)
    image = ("image", "", _size(spec.input), *[""] * (len(_HEADER) - _LEFT - 1))
    cells = [_HEADER, image, *(_cells(row, batch_size) for row in rows), _total(spec, rows, batch_size)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(_aligned, range(len(widths)), row, widths)).rstrip() for row in cells]
    rule = "-" * max(map(len, lines))
    heading = f"{spec.name}: {spec.source}"
    note = f"memory: float32 outputs for a batch of {batch_size}"
    return "\n".join([heading, "", lines[0], rule, *lines[1:-1], rule, lines[-1], "", note])


def _row_json(row: RowShape) -> dict[str, Any]:
    return {
        "name": row.row.name,
        "kind": row.row.kind,
        "inputs": list(row.inputs),
        "output": list(row.output),
        **{setting: getattr(row.row, setting, None) for setting in _SETTINGS},
        "params": row.params,
        "macs": row.macs,
        "neurons": row.neurons,
    }


def _cells(row: RowShape, batch_size: int) -> tuple[str, ...]:
    settings = [getattr(row.row, setting, None) for setting in _SETTINGS]
    costs = (row.params, row.macs, row.neurons)
    return (
        row.row.name,
        row.row.kind,
        _size(row.output),
        *("" if setting is None else str(setting) for setting in settings),
        *(f"{cost:,}" if cost else "" for cost in costs),
        _mebibytes(batch_size * row.activation_bytes),
    )


def _total(spec: Spec, rows: tuple[RowShape, ...], batch_size: int) -> tuple[str, ...]:
    costs = (f"{cost:,}" for cost in totals(spec).values())
    memory = batch_size * sum(row.activation_bytes for row in rows)
    return ("total", *[""] * (_LEFT + len(_SETTINGS)), *costs, _mebibytes(memory))


def _aligned(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column < _LEFT else cell.rjust(width)


def _size(shape: Shape) -> str:
    """`96x55x55`; a row of units has no height and width to speak of."""
    return str(prod(shape)) if shape[1:] == (1, 1) else "x".join(map(str, shape))


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
