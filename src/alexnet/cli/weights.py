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
        typer.Argument(
            help="Runs, folders of runs, files, names.", metavar="WHERE", show_default=f"{RUNS}, and all names"
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """List the weights that can be used here or fetched, with the errors that were measured."""
    from dataclasses import asdict

    from alexnet.weights.listing import list_named, list_weights

    runs = list_weights([RUNS]) if RUNS.is_dir() and not where else []
    entries = list_weights(where) if where else [*runs, *list_named()]
    if json:
        print_json({"weights": [asdict(entry) for entry in entries]})
    elif entries:
        columns = [column for column in _COLUMNS if column != "licence" or any(entry.licence for entry in entries)]
        rows = [_row(entry) for entry in entries]
        print_table({name: _COLUMNS[name] for name in columns}, [tuple(row[name] for name in columns) for row in rows])
    else:
        looked = ", ".join(map(str, where or []))
        print(f"no weights in {looked}; `alexnet train DATA` makes some, `alexnet weights` has more")


def _row(entry: "Entry") -> dict[str, str]:
    return {
        "weights": entry.name,
        "net": entry.net or "-",
        "classes": str(entry.classes or "-"),
        "size": f"{entry.bytes / 1e6:,.1f} MB" if entry.bytes else "-",
        "date": entry.date[:10] if entry.date else "-",
        "state": entry.state,
        "licence": entry.licence or "-",
        "errors": "; ".join(_in_words(measured) for measured in entry.errors) or "-",
    }


def _in_words(measured: Mapping[str, Any]) -> str:
    """`28.4% / 2.0% on 10,000 images of cifar10 test, center`: top-1 and top-5 error, and how they were measured."""
    shown = " / ".join(f"{measured[key]:.1%}" for key in ("top1_error", "top5_error") if measured[key] is not None)
    images = f"{measured['images']:,} images of " if measured.get("images") else ""
    return f"{shown} on {images}{measured['data']} {measured['split']}, {measured['views']}"
