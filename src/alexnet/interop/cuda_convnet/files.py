"""The two files of a net of 2012, read together: how it is built, and how it was trained.

Two equal towers are merged into one net, which computes the same in fewer, larger steps; where that is one of ours it
is called as ours is. Towers that differ, or are trained differently, stay as they were written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from alexnet.arch import NETS
from alexnet.arch.spec import Spec
from alexnet.arch.towers import Merged, merge, renamed_as
from alexnet.errors import SpecError
from alexnet.interop.cuda_convnet.config import read_sections
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.interop.cuda_convnet.draft import Borrowed
from alexnet.interop.cuda_convnet.parameters import recipe_of
from alexnet.recipes import Recipe

SUFFIX = ".cfg"

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class WrittenNet:
    """A net from its files. recipe: None without a parameter file. borrowed, trees: see `Definition`."""

    spec: Spec
    recipe: Recipe | None = None
    borrowed: tuple[Borrowed, ...] = ()
    trees: tuple[str, ...] = ()


def read_definition(path: Path, parameters: Path | None = None, *, input_size: int | None = None) -> Definition:
    """The net of a definition file as it was written, layer for layer.

    Without its parameter file the norms have the constants of net 145.

    Raises:
        InputError: a file that is none, or a layer that cannot be; names file, line, layer and key.
        OSError: a file cannot be read.
    """
    sections = read_sections(parameters) if parameters else {}
    source = f"cuda-convnet, {path.name}" + (f" and {parameters.name}" if parameters else "")
    return define(read_sections(path), sections, name=path.stem, source=source, input_size=input_size)


def read_net(path: Path, parameters: Path | None = None, *, input_size: int | None = None) -> WrittenNet:
    """The net of a definition file in one, and, where a parameter file is given, how it was trained.

    Raises:
        InputError: as `read_definition`.
        OSError: a file cannot be read.
    """
    definition = read_definition(path, parameters, input_size=input_size)
    written = partial(WrittenNet, borrowed=definition.borrowed, trees=definition.trees)
    net = in_one(definition.spec)
    if parameters is None:
        return written(spec=net.spec, recipe=None)
    sections, source = read_sections(parameters), f"cuda-convnet, {parameters.name}"
    of_towers = recipe_of(definition, sections, name=parameters.stem, source=source)
    recipe = _recipe_in_one(of_towers, net)
    if recipe is None:  # one net could not be trained as its towers are
        return written(spec=definition.spec, recipe=of_towers)
    return written(spec=net.spec, recipe=recipe)


@dataclass(frozen=True)
class InOne:
    """A net whose towers, if it had two equal ones, are merged; names: its rows' in `spec`, by the merged row."""

    spec: Spec
    merged: Merged | None
    names: Mapping[str, str]


def in_one(spec: Spec) -> InOne:
    """`spec` merged if that can be, and by our names if it is one of our nets."""
    try:
        merged = merge(spec)
    except SpecError:
        return InOne(spec, None, {row.name: row.name for row in spec.rows})
    for known in NETS.values():
        ours = known.with_classes(merged.spec.num_classes)
        if names := renamed_as(merged.spec, ours):
            return InOne(ours, merged, names)
    return InOne(merged.spec, merged, {row.name: row.name for row in merged.spec.rows})


def _recipe_in_one(recipe: Recipe, net: InOne) -> Recipe | None:
    """What is said of the pieces of a row, said of the row; None where it is not the same for all of them."""
    if net.merged is None:
        return recipe

    def joined(by_row: Mapping[str, Value]) -> dict[str, Value]:
        assert net.merged
        return {
            net.names[name]: by_row[pieces[0].row]
            for name, pieces in net.merged.pieces.items()
            if pieces[0].row in by_row
        }

    by_kind: dict[str, Mapping[str, Any]] = {name: getattr(recipe, name) for name in BY_ROW}
    for pieces in net.merged.pieces.values():
        if any(len({str(by_row.get(piece.row)) for piece in pieces}) > 1 for by_row in by_kind.values()):
            return None
    changed: dict[str, Any] = {name: joined(by_row) for name, by_row in by_kind.items()}
    return replace(recipe, **changed)


BY_ROW = ("row_rates", "row_momenta", "row_decay", "row_limits")  # what a recipe says of each row
