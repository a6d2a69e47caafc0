"""A net in the making, layer by layer: its rows, their shapes, and which row's output each layer gives."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet.arch.rows import Row
from alexnet.arch.shapes import Shape, output_of
from alexnet.arch.spec import IMAGE, MOST_ROWS
from alexnet.errors import SpecError
from alexnet.interop.cuda_convnet.config import Section


class Bank(NamedTuple):
    """The weights of a layer for one of its inputs: which layer and input, and how many of the row's inputs are theirs:
    channels of a conv row, features of an fc row.
    """

    layer: str
    place: int
    inputs: int


class Borrowed(NamedTuple):
    """A layer that begins with what another net has: the function that would have been run for its weights."""

    layer: str
    function: str


@dataclass
class Draft:
    """A net in the making: rows in order, and the shape of each."""

    name: str
    input: Shape
    parameters: Mapping[str, Section]
    connections: Mapping[tuple[str, int], tuple[int, ...]]
    rows: list[Row] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)  # by row
    outputs: dict[str, str] = field(default_factory=dict)  # the row that stands for a layer, by layer
    labels: set[str] = field(default_factory=set)  # data layers, and what is computed from them
    banks: dict[str, tuple[Bank, ...]] = field(default_factory=dict)
    borrowed: list[Borrowed] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)
    cost: Section | None = None

    def inputs_of(self, section: Section) -> tuple[str, ...]:
        """The rows that a layer reads."""
        names = section.items("inputs")
        if not names or not all(names):
            section.refuse("needs inputs")
        if missing := [name for name in names if name not in self.outputs]:
            section.refuse(f"reads {', '.join(missing)}, which no layer above it is called", "inputs")
        return tuple(self.outputs[name] for name in names)

    def check_channels(self, section: Section, layer: str, read: str, channels: int) -> None:
        """Refuse a layer that takes the row `read`, which the file calls `layer`, to have other channels."""
        has = self.shapes[read][0]
        if channels != has:
            more = ", as all images have here, grey ones too" if read == IMAGE else ""
            section.refuse(f"{channels} for {layer}, which has {has}{more}", "channels")

    def put(self, section: Section, row: Row) -> str:
        """One row, if it fits its inputs; its name."""
        if len(self.rows) == MOST_ROWS:
            section.refuse(f"is beyond the {MOST_ROWS} rows that a net may have")
        try:
            self.shapes[row.name] = output_of(self.name, row, [self.shapes[name] for name in row.inputs])
        except SpecError as error:
            section.refuse(str(error))
        self.rows.append(row)
        return row.name

    def row_name(self, section: Section, suffix: str = "") -> str:
        """A name for a row of this layer that none has yet: letters, digits and underscores."""
        base = re.sub(r"\W", "_", section.name + suffix, flags=re.ASCII)
        base = base if base.isidentifier() and base != "training" else f"_{base}"  # which modules of torch set
        name, number = base, 2
        while name in self.shapes:
            name, number = f"{base}_{number}", number + 1
        return name

    def parameters_of(self, section: Section) -> Section | None:
        """What the parameter file says of a layer; None where there is no such file.

        Raises:
            InputError: it has no section for this layer.
        """
        if not self.parameters:
            return None
        if section.name not in self.parameters:
            file = next(iter(self.parameters.values())).file
            section.refuse(f"{file} has no section [{section.name}], in which its constants stand")
        return self.parameters[section.name]

    def constants(self, section: Section) -> Section | None:
        """Where a norm's constants stand: in the parameter file, or, before 2012, here; None where that is nowhere."""
        return section if "scale" in section else self.parameters_of(section)
