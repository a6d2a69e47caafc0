"""What verbs print: one JSON object, tables or facts on stdout; on stderr which images had to be left out."""

import json
import os
import re
import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any

import typer

from alexnet.cli.failures import BAD_INPUT, describe_failure
from alexnet.cli.progress import say
from alexnet.errors import ImageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WIDTH_OF_A_PIPE = 200  # no terminal, no width to keep to: tables are then never cut


def is_first_process() -> bool:
    """Whether this process speaks: of those that torchrun has started the first does."""
    return os.environ.get("RANK", "0") == "0"


def print_json(value: dict[str, Any]) -> None:
    """`value` as one JSON object; NaN, which JSON does not have, is a mistake of ours.

    Bytes of file names that are not UTF-8 are spelled as escapes, so that a reader gets the very name back.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    print(_SURROGATE.sub(lambda found: rf"\u{ord(found[0]):04x}", text))


def print_table(columns: dict[str, str], rows: Sequence[tuple[str, ...]]) -> None:
    """Rows under a header; `columns` are header to "left" or "right"."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for header, side in columns.items():
        table.add_column(header, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    Console(markup=False, highlight=False, width=width).print(table)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names and texts, one under the other; in a terminal texts are broken at its width."""
    column = max(len(name) for name, _ in facts) + 2
    width = get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for name, text in facts:
        print(
            fill(
                text,
                max(width, 2 * column),
                initial_indent=name.ljust(column),
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
        )


def errors_json(errors: Sequence[tuple[str, ImageError]]) -> list[dict[str, str]]:
    """Images that could not be read, as every `--json` lists them: path and what is wrong."""
    return [{"path": path, "error": str(error)} for path, error in errors]


def say_errors(errors: Sequence[tuple[str, ImageError]]) -> None:
    """One line on stderr for each image that could not be read."""
    for _, error in errors:
        say(f"alexnet: error: {describe_failure(error)[0]}")


def report_errors(errors: Sequence[tuple[str, ImageError]]) -> None:
    """The same, and the exit status that says so.

    Raises:
        typer.Exit: there were some.
    """
    say_errors(errors)
    if errors:
        raise typer.Exit(BAD_INPUT)
