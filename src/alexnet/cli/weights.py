"""`alexnet weights [WHERE...]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from alexnet.weights.listing import Entry

EXAMPLE = "runs"

RUNS = Path("runs")  # where training puts its folders
_COLUMNS = {
    "weights": "left",
    "net": "left",
    "classes": "right",
    "size": "right",
    "date": "left",
    "state": "left",
    "licence": "left",
    "errors": "left",
}


def weights(
    where: Annotated[
        list[Path] | None,
        typer.Argument(help="Runs, folders of runs, files.", metavar="WHERE", show_default=str(RUNS)),
    ] = None,
    json: AsJson = False,
) -> None:
    """List the weights that can be used here, with the errors that were measured."""
    from dataclasses import asdict

    from alexnet.weights.listing import list_weights

    places = where or [RUNS]
    entries = list_weights(places) if where or RUNS.is_dir() else []
    if json:
        print_json({"weights": [asdict(entry) for entry in entries]})
    elif entries:
        print_table(_COLUMNS, [_row(entry) for entry in entries])
    else:
        looked = ", ".join(map(str, places))
        print(f"no weights in {looked}; `alexnet train DATA` makes some, `alexnet weights WHERE` looks elsewhere")


def _row(entry: "Entry") -> tuple[str, ...]:
    return (
        entry.name,
        entry.net or "-",
        str(entry.classes or "-"),
        f"{entry.bytes / 1e6:,.1f} MB" if entry.bytes else "-",
        entry.date[:10] if entry.date else "-",
        entry.state,
        entry.licence or "-",
        "; ".join(_in_words(measured) for measured in entry.errors) or "-",
    )


def _in_words(measured: Mapping[str, Any]) -> str:
    """`28.4 % / 2.0 % on cifar10 test, center`: top-1 and top-5 error, and how they were measured."""
    shown = " / ".join(f"{measured[key]:.1%}" for key in ("top1_error", "top5_error") if measured[key] is not None)
    return f"{shown} on {measured['data']} {measured['split']}, {measured['views']}"
