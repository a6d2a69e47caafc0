"""What weights can be used here, told from the heads of their files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet.arch import find
from alexnet.errors import WeightsError
from alexnet.weights.catalog import (
    IN_RUN_FOLDER,
    RUN_FILE,
    SUFFIXES,
    files_of,
    find_header,
    in_folder,
    is_folder_of_weights,
)
from alexnet.weights.named import NAMED, NamedWeights

NO_WEIGHTS_YET = "no weights yet"
SHIPPED, CACHED, NOT_FETCHED = "shipped", "cached, not checked", "not fetched"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Weights that `--weights` takes by their `name`, or what stands in their place.

    state: "best" or "last" of a run, "file", "no weights yet", or "damaged: ..."; of weights with a name "shipped",
        "cached, not checked", or "not fetched": they will be when they are used. What follows is None unless usable.
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
    """The weights at each place: a file, a run folder, or all the runs and files in a folder, by name; or a name.

    Raises:
        WeightsError: no such file, folder or name.
    """
    return [entry for place in places for entry in _entries(Path(place))]


def list_named() -> list[Entry]:
    """The weights that have names: shipped and official ones, without fetching any."""
    return [_named(row) for row in NAMED.values()]


def _entries(place: Path) -> Iterator[Entry]:
    if not place.exists() and str(place) in NAMED:
        yield _named(NAMED[str(place)])
        return
    if not place.exists():
        raise WeightsError(
            f"nothing at {str(place)!r}: give run folders, folders of runs, or {', '.join(SUFFIXES.values())} files"
        )
    if not place.is_dir() or is_folder_of_weights(place):
        yield _one(place)
    else:
        yield from map(_one, filter(_is_weights, sorted(place.iterdir())))


def _is_weights(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix in SUFFIXES.values() if path.is_file() else is_folder_of_weights(path)


def _one(path: Path) -> Entry:
    if (path / RUN_FILE).is_file():
        return _run(path)
    return _entry(path, in_folder(path) if path.is_dir() else path, "file")


def _run(folder: Path) -> Entry:
    for name in IN_RUN_FOLDER:
        if (folder / name).is_file():
            return _entry(folder, folder / name, Path(name).stem)
    return Entry(name=str(folder), state=NO_WEIGHTS_YET)


def _named(row: NamedWeights) -> Entry:
    """A fetched file is not read here: its checksum is looked at when it is used."""
    if row.net is None or row.download is None:
        entry = _entry(row.name, row.path, SHIPPED)
        return entry if entry.net else replace(entry, state=f"{entry.state}; {row.remedy}")
    here = row.path.stat() if row.path.is_file() else None
    return Entry(
        name=row.name,
        state=CACHED if here else NOT_FETCHED,
        net=row.net,
        classes=find(row.net).num_classes,
        bytes=here.st_size if here else row.download.num_bytes,
        date=_date(here) if here else None,
        licence=row.licence,
        errors=row.errors,
    )


def _entry(place: str | Path, file: Path, state: str) -> Entry:
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
        date=_date(found[0]),
        licence=header.licence,
        errors=header.errors,
    )


def _date(file: os.stat_result) -> str:
    return datetime.fromtimestamp(file.st_mtime).astimezone().isoformat(timespec="seconds")
