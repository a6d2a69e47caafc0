"""What the verbs that write parts have in common: their options, what they show, how they end."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from alexnet.cli.failures import BAD_INPUT, INTERRUPTED
from alexnet.cli.output import errors_json, print_json, say_errors
from alexnet.cli.progress import progress, say
from alexnet.cli.stdin import STDIN
from alexnet.errors import InputError

if TYPE_CHECKING:
    from alexnet.data.tables import Rows
    from alexnet.parts.job import Content, Outcome, Process
    from alexnet.parts.tables import Tables
    from alexnet.train.observer import Advance

ImagesPerPart = Annotated[
    int | None, typer.Option(min=1, help="Where --out is a folder: images a file of it.", show_default="10240")
]
FileFormat = Annotated[
    Literal["npz", "parquet"] | None,
    typer.Option("--format", help="Where --out is a folder: of its files.", show_default="npz"),
]

# Of a file that somebody wants, and not of a folder: `f.h5`, but not `run-1.2`.
_FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,9}")


def names_folder(out: Path) -> bool:
    """Whether `--out` means a folder of parts: it is there as one, or has no suffix as files have."""
    return out.is_dir() or not _FILE_SUFFIX.fullmatch(out.suffix)


def check_folder_options(process: "Process", **options: object) -> None:
    """Refuse what only a folder of parts makes sense of, where there is none.

    Raises:
        InputError: one of `options`, by their names, is given, or there are several processes.
    """
    if given := [name for name, value in options.items() if value is not None]:
        raise InputError(f"--{given[0].replace('_', '-')} is for parts: name a folder with --out")
    if process.count > 1:
        raise InputError(f"{process.count} processes write parts: name a folder with --out")


def write_tables(
    verb: str,
    find: "Callable[[Tables], Outcome[Rows]]",
    process: "Process",
    images: Sequence[str],
    out: Path,
    **settings: Any,
) -> "Outcome[Rows]":
    """What `find` makes of this process's parts of `settings["collection"]`; `settings`: see `Tables`, None left out.

    Raises:
        InputError: one of `images` comes through a pipe, which the same command cannot read twice.
    """
    from alexnet.parts.job import IMAGES_PER_PART
    from alexnet.parts.tables import Tables

    if STDIN in images:
        raise InputError("what comes on stdin cannot be read again when a job goes on; name files")
    given = {name: value for name, value in settings.items() if value is not None}
    unit = given.get("images_per_part", IMAGES_PER_PART)
    with going_on(process), watch(process, verb, len(given["collection"].images), unit) as advance:
        return find(Tables(folder=out, progress=advance, **given))


@contextmanager
def going_on(process: "Process") -> Iterator[None]:
    """Where Ctrl-C ends the work on parts: the first process says how many are there, and what goes on.

    Raises:
        typer.Exit: it has said so.
    """
    from alexnet.parts.job import JobInterrupt

    try:
        yield
    except JobInterrupt as stopped:
        if not process.is_first:
            raise
        say(f"alexnet: interrupted; {stopped}, the same command goes on")
        raise typer.Exit(INTERRUPTED) from None


def watch(process: "Process", description: str, total: int, unit: int) -> AbstractContextManager["Advance"]:
    """Show the way to this process's share of `total` images, which come in whole units of `unit`; the first does."""
    if process.is_first:
        units = -(-total // unit)
        return progress(description, min(total, -(-units // process.count) * unit), "images")
    return nullcontext(lambda _count=1, _note="": None)


T = TypeVar("T", bound="Content")


def parts_json(outcome: "Outcome[T]") -> dict[str, int]:
    """How many parts this process has made now, how many are there, how many there will be."""
    return {"made": outcome.made, "done": outcome.job.count_done(), "all": len(outcome.job.parts)}


def print_parts(outcome: "Outcome[T]") -> None:
    """The same for people, with the rate."""
    rate = "" if outcome.images_per_second is None else f", {outcome.images_per_second:,.0f} images/s"
    done, total = outcome.job.count_done(), len(outcome.job.parts)
    print(f"{outcome.job.folder}: {done:,} of {total:,} parts are there, {outcome.made:,} made now{rate}")


def end_tables(process: "Process", outcome: "Outcome[Rows]", *, json: bool, **about: object) -> None:
    """Print, in the first process, how the job stands, under `json` after what is said `about` it; then `_end`.

    Raises:
        typer.Exit: some image of the job was left out.
    """
    if process.is_first and json:
        print_json(
            {
                **about,
                "images": outcome.images,
                "errors": errors_json(outcome.errors),
                "images_per_second": outcome.images_per_second,
                "parts": parts_json(outcome),
            }
        )
    elif process.is_first:
        print_parts(outcome)
    _end(process, outcome)


def _end(process: "Process", outcome: "Outcome[T]") -> None:
    """Say which images of this process's parts were left out; once all parts are there, end as that demands.

    torchrun ends all processes when one fails, so none does before the whole job is done, nor one that has found its
    own parts done: it would be the first to end.

    Raises:
        typer.Exit: some image of the job was left out.
    """
    say_errors(outcome.errors)
    if (process.is_first or outcome.made) and any(part.errors for part in outcome.read_all() or ()):
        raise typer.Exit(BAD_INPUT)
