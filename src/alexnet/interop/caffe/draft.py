"""A net in the making, layer by layer: its rows, and which row's output a blob holds by now."""

import re
from dataclasses import dataclass, field
from math import prod

from alexnet.arch.rows import Row
from alexnet.arch.shapes import Shape, output_of
from alexnet.arch.spec import IMAGE
from alexnet.errors import SpecError
from alexnet.interop.caffe.images import Images
from alexnet.interop.caffe.layers import Layer

_MOST_UNITS = 1 << 28  # of a row. Ours: a gigabyte of them


@dataclass
class Draft:
    """Rows in order, each with its inputs named. `shapes`: of each row's output; `blobs`: row by blob; `layers`: row by
    layer, of rows with weights; `labels`: blobs; `end`: the row of probabilities.
    """

    net: str
    rows: list[Row] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    layers: dict[str, str] = field(default_factory=dict)
    images: Images | None = None
    end: Row | None = None

    def feed(self, blobs: tuple[str, ...], images: Images) -> None:
        """What the net is fed: images, then labels."""
        self.blobs[blobs[0]] = IMAGE
        self.labels |= set(blobs[1:])
        self.images, self.shapes[IMAGE] = images, images.shape

    def inputs_of(self, layer: Layer) -> tuple[str, ...]:
        """The rows that a layer reads.

        Raises:
            InputError: none, or a blob that no layer above gives.
        """
        if not layer.bottoms:
            layer.refuse("reads nothing", "bottom")
        if missing := [blob for blob in layer.bottoms if blob not in self.blobs]:
            layer.refuse(f"reads {', '.join(missing)}, which no layer above it gives", "bottom")
        return tuple(self.blobs[blob] for blob in layer.bottoms)

    def input_of(self, layer: Layer) -> str:
        """The one row that a layer reads.

        Raises:
            InputError: none, several, or a blob that no layer above gives.
        """
        inputs = self.inputs_of(layer)
        if len(inputs) != 1:
            layer.refuse(f"reads {len(inputs)} blobs; one is what can be read here", "bottom")
        return inputs[0]

    def put(self, layer: Layer, row: Row, top: int = 0) -> None:
        """One row, whose output one of the layer's tops holds from now on.

        Raises:
            InputError: it does not fit its inputs, or has no such top.
        """
        if len(layer.tops) <= top:
            layer.refuse("gives nothing", "top")
        try:
            shape = output_of(self.net, row, [self.shapes[name] for name in row.inputs])
        except SpecError as error:
            layer.refuse(str(error))
        if prod(shape) > _MOST_UNITS:
            layer.refuse(f"gives {shape} for one image, more than any net")
        self.shapes[row.name] = shape
        self.rows.append(row)
        self.blobs[layer.tops[top]] = row.name

    def row_name(self, wanted: str) -> str:
        """A name for a row that none has yet: letters, digits and underscores."""
        base = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        base = base if base.isidentifier() and base != "training" else f"_{base}"  # which modules of torch set
        name, number = base, 2
        while name in self.shapes:
            name, number = f"{base}_{number}", number + 1
        return name
