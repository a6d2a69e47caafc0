"""What weights can be used here, told from the heads of their files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet.errors import WeightsError
from alexnet.weights.catalog import IN_RUN_FOLDER, RUN_FILE, SUFFIXES, files_of, find_header

NO_WEIGHTS_YET = "no weights yet"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Weights that `--weights` takes by their `name`, or what stands in their place.

    state: "best" or "last" of a run, "file", "no weights yet", or "damaged: ..."; what follows is None unless usable.
    date: of the last change, ISO 8601. errors: measured, each {data, split, views, top1_error, top5_error}.
    """

    name: str
    state: str
    net: str | None = None
    classes: int | None = None
    bytes: int | None = None
    date: str | None = None
    licence: str | None = None
    errors: tuple[Mapping[str, Any], ...] = ()


def list_weights(places: Sequence[str | Path]) -> list[Entry]:
    """The weights at each place: a file, a run folder, or all the runs and files in a folder, by name.

    Raises:
        WeightsError: no such file or folder.
    """
    return [entry for place in places for entry in _entries(Path(place))]


def _entries(place: Path) -> Iterator[Entry]:
    if not place.exists():
        raise WeightsError(
            f"nothing at {str(place)!r}: give run folders, folders of runs, or {', '.join(SUFFIXES.values())} files"
        )
    if not place.is_dir():
        yield _entry(place, place, "file")
    elif (place / RUN_FILE).is_file():
        yield _run(place)
    else:
        for inside in filter(_is_weights, sorted(place.iterdir())):
            yield _run(inside) if inside.is_dir() else _entry(inside, inside, "file")


def _is_weights(path: Path) -> bool:
    return (path / RUN_FILE).is_file() or (
        path.suffix in SUFFIXES.values() and path.is_file() and not path.name.startswith(".")
    )


def _run(folder: Path) -> Entry:
    for name in IN_RUN_FOLDER:
        if (folder / name).is_file():
            return _entry(folder, folder / name, Path(name).stem)
    return Entry(name=str(folder), state=NO_WEIGHTS_YET)


def _entry(place: Path, file: Path, state: str) -> Entry:
    try:
        header, found = find_header(file), [each.stat() for each in files_of(file)]
    except (WeightsError, OSError) as error:
        return Entry(name=str(place), state=f"damaged: {str(error).removeprefix(f'{file}: ')}")
    return Entry(
        name=str(place),
        state=state,
        net=header.spec.name,
        classes=len(header.classes),
        bytes=sum(each.st_size for each in found),
        date=datetime.fromtimestamp(found[0].st_mtime).astimezone().isoformat(timespec="seconds"),
        licence=header.licence,
        errors=header.errors,
    )
