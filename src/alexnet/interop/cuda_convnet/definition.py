"""A net's definition file becomes a Spec: layers in order, each one or a few rows.

The files do not say how large images are, nor what the norms' constants are, which stand in the parameter file. A conv
or fc layer of several inputs has one bank of weights for each: they are stacked where they differ in nothing, or else
computed apart and added up. What `initWFunc` and its like would have run is only named.

Source: 2012 release, layer.py.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from alexnet.arch.rows import (
    AvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Local,
    Logistic,
    Lrn,
    MaxPool,
    Mirror,
    RandomPool,
    Relu,
    Row,
    SameMapNorm,
    Select,
    Softmax,
    Subsample,
    Sum,
)
from alexnet.arch.shapes import Shape, output_of
from alexnet.arch.spec import IMAGE, MOST_ROWS, Spec
from alexnet.errors import SpecError
from alexnet.interop.cuda_convnet.config import Section

LARGE_INPUT, SMALL_INPUT = 224, 32  # ImageNet's crops, and CIFAR-10's images
LABELS_INDEX = 1  # of the data layer that gives them
MOST_CONNECTIONS = 1 << 16  # ours, of a layer's sparse groups: those of the released nets read under a thousand
NEVER_USED = {"resize", "rscale", "rgb2yuv", "rgb2lab", "eltmax"}
NEVER_USED |= {"cost.crossent", "cost.gsum2", "cost.msm", "cost.tica"}
LOSSES = {"cost.logreg": "logreg", "cost.crossent2": "crossent2", "cost.rflickr": "rflickr", "cost.sum2": "sum2"}


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


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A net as it was written. banks: of every row with weights, by the row's name, in the order of its inputs.

    sections: the layers as they stand in the file; layers: the row that stands for each; towers: by row, the index of
    the GPU that it was meant for. cost, loss: the cost layer's name and kind.
    borrowed: what begins as in another net.
    """

    spec: Spec
    banks: Mapping[str, tuple[Bank, ...]]
    sections: Mapping[str, Section]
    layers: Mapping[str, str]
    towers: Mapping[str, int]
    cost: str
    loss: str
    borrowed: tuple[Borrowed, ...]


def define(
    layers: Mapping[str, Section],
    parameters: Mapping[str, Section],
    *,
    name: str,
    source: str,
    input_size: int | None = None,
    connections: Mapping[tuple[str, int], tuple[int, ...]] | None = None,
) -> Definition:
    """The net of a definition file's sections; `parameters` are those of its parameter file, or none.

    input_size: side of its images; by default 224 where the first convolution has a stride, else 32. connections: the
    channels that the groups of a layer read of its input with this number, one group after the other, where groups are
    sparse; by default drawn from the layer's name, so that a file always gives the same net.

    Raises:
        InputError: a layer that cannot be, or that no released file has; names file, line, layer and key.
        SpecError: layers that do not fit together.
    """
    if len(layers) > MOST_ROWS:
        raise SpecError(f"{name} has {len(layers):,} layers; a net may have {MOST_ROWS}")
    side = input_size or _guess_input_size(layers)
    draft = _Draft(name, (3, side, side), parameters, connections or {})
    for section in layers.values():
        draft.add(section)
    return draft.finish(source, layers)


def _guess_input_size(layers: Mapping[str, Section]) -> int:
    strides = [section.items("stride") for section in layers.values() if section.text("type", "") == "conv"]
    return LARGE_INPUT if strides and strides[0] not in ((), ("1",)) else SMALL_INPUT


@dataclass
class _Draft:
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
    towers: dict[str, int] = field(default_factory=dict)
    borrowed: list[Borrowed] = field(default_factory=list)
    cost: Section | None = None

    def add(self, section: Section) -> None:
        """One layer."""
        kind = section.text("type").strip()
        if kind == "data":
            self._add_data(section)
        elif kind in LOSSES:
            self._add_cost(section)
        elif kind in _LAYERS:
            self._add_layer(section, kind)
        elif kind in NEVER_USED:
            section.refuse(f"layers of type {kind} are in no released file, and are not read", "type")
        else:
            section.refuse(f"unknown type {kind!r}; known: {', '.join(['data', *_LAYERS, *LOSSES])}", "type")

    def inputs_of(self, section: Section) -> tuple[str, ...]:
        """The rows that a layer reads."""
        names = section.items("inputs")
        if not names or not all(names):
            section.refuse("needs inputs")
        if missing := [name for name in names if name not in self.outputs]:
            section.refuse(f"reads {', '.join(missing)}, which no layer above it is called", "inputs")
        return tuple(self.outputs[name] for name in names)

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
        base = base if base.isidentifier() else f"_{base}"
        name, number = base, 2
        while name in self.shapes:
            name, number = f"{base}_{number}", number + 1
        return name

    def constants(self, section: Section) -> Section:
        """Where a norm's constants stand: in the parameter file, or, as before 2012, here."""
        return self.parameters.get(section.name, section)

    def _add_data(self, section: Section) -> None:
        index = section.whole("dataIdx", least=0)
        if index > LABELS_INDEX:
            section.refuse("there are images (0) and labels (1) alone", "dataIdx")
        self.outputs[section.name] = IMAGE if index != LABELS_INDEX else section.name
        if index == LABELS_INDEX:
            self.labels.add(section.name)
        self.shapes[IMAGE] = self.input

    def _add_layer(self, section: Section, kind: str) -> None:
        if set(section.items("inputs")) & self.labels:  # the difference that cost.sum2 squares
            self.labels.add(section.name)
            images = (
                row for name, row in self.outputs.items() if name in section.items("inputs") and name not in self.labels
            )
            self.outputs[section.name] = next(images, section.name)
            return
        first = len(self.rows)
        output = _LAYERS[kind](self, section)
        output = self._with_neuron(section, output)
        self.outputs[section.name] = output
        if "gpu" in section:
            self.towers.update({row.name: section.whole("gpu", least=0) for row in self.rows[first:]})

    def _with_neuron(self, section: Section, read: str) -> str:
        neuron = section.text("neuron", "ident").strip()
        if neuron == "ident" or section.text("type") == "neuron":
            return read
        if neuron not in _NEURONS:
            section.refuse(f"{neuron!r} is in no released file; known: ident, {', '.join(_NEURONS)}", "neuron")
        return self.put(section, _NEURONS[neuron](self.row_name(section, "_neuron"), inputs=(read,)))

    def _add_cost(self, section: Section) -> None:
        if self.cost is not None:
            section.refuse(f"a second cost, beside {self.cost.name}; one is read")
        self.cost = section
        self.labels.add(section.name)

    def finish(self, source: str, sections: Mapping[str, Section]) -> Definition:
        """The whole, cut to what leads to the cost."""
        if self.cost is None:
            raise SpecError(f"{self.name} has no cost layer ({', '.join(LOSSES)}): it is no definition of a net")
        read = [self.outputs.get(name, "") for name in self.cost.items("inputs")]
        judged = [name for name in read if name in self.shapes and name != IMAGE]
        if len(judged) != 1:
            self.cost.refuse("needs labels and the layer whose answers are judged", "inputs")
        rows = [row for row in self.rows if row.name != judged[0]]
        last = next(row for row in self.rows if row.name == judged[0])
        spec = Spec(name=self.name, source=source, input=self.input, rows=(*rows, last))
        return Definition(
            spec=spec,
            banks=self.banks,
            sections=sections,
            layers={layer: row for layer, row in self.outputs.items() if row in spec},
            towers=self.towers,
            cost=self.cost.name,
            loss=LOSSES[self.cost.text("type").strip()],
            borrowed=tuple(self.borrowed),
        )


def _conv(draft: _Draft, section: Section) -> str:
    return _banks(draft, section, _filters(draft, section))


def _fc(draft: _Draft, section: Section) -> str:
    inputs = draft.inputs_of(section)
    stds = section.reals("initW", len(inputs))
    outputs, bias = section.whole("outputs", least=1), section.real("initB", 0.0)
    filters: list[_Filter] = [
        (Fc, {"out_features": outputs, "weight_std": std, "bias_init": bias}, None) for std in stds
    ]
    return _banks(draft, section, filters)


_Filter = tuple[type[Row], dict[str, object], "tuple[int, ...] | None"]


def _filters(draft: _Draft, section: Section) -> list[_Filter]:
    """For each input the kind of row, its settings, and the channels that sparse groups read."""
    inputs = draft.inputs_of(section)
    count, kind = len(inputs), Local if section.text("type") == "local" else Conv
    channels, filters, sizes = (section.wholes(key, count, least=1) for key in ("channels", "filters", "filterSize"))
    groups, strides = (section.wholes(key, count, 1, least=1) for key in ("groups", "stride"))
    paddings = section.wholes("padding", count, 0, least=0)
    per_group = section.wholes("filterChannels", count, 0, least=0)
    stds, sparse = section.reals("initW", count), section.flags("randSparse", count)
    if kind is Conv and not section.flag("sharedBiases", True):
        section.refuse(
            "biases of their own at every position are in no released file, and are not read", "sharedBiases"
        )
    found: list[_Filter] = []
    for i, read in enumerate(inputs):
        if draft.shapes[read][0] != channels[i]:
            section.refuse(
                f"{channels[i]} for {section.items('inputs')[i]}, which has {draft.shapes[read][0]}", "channels"
            )
        settings: dict[str, object] = {
            "out_channels": filters[i] * groups[i],
            "kernel_size": sizes[i],
            "stride": strides[i],
            "padding": paddings[i],
            "rounding": "ceil" if strides[i] > 1 else "floor",  # one and the same without a stride
            "weight_std": stds[i],
            "bias_init": section.real("initB", 0.0),
        }
        if kind is Conv:
            settings["groups"] = groups[i]
        elif groups[i] > 1:
            section.refuse("groups of unshared filters are in no released file, and are not read", "groups")
        connections = None
        if sparse[i]:
            drawn = _connections(section, channels[i], groups[i], per_group[i], i)
            connections = draft.connections.get((section.name, i), drawn)
        found.append((kind, settings, connections))
    if len({settings["out_channels"] for _, settings, _ in found}) > 1:
        section.refuse("as many filters times groups are needed for every input", "filters")
    return found


def _connections(section: Section, channels: int, groups: int, per_group: int, index: int) -> tuple[int, ...]:
    """Which channels each group reads: whole random orders of all of them, one after another, cut into groups."""
    per_group = per_group or max(1, channels // groups)
    if per_group * groups > MOST_CONNECTIONS:
        section.refuse(f"{groups} groups of {per_group} are more than {MOST_CONNECTIONS:,} channels to read", "groups")
    if per_group * groups % channels or channels % per_group:
        section.refuse(
            f"{groups} groups of {per_group} do not use each of {channels} channels equally", "filterChannels"
        )
    draw = random.Random(f"{section.name} {index}")
    orders = [draw.sample(range(channels), channels) for _ in range(per_group * groups // channels)]
    return tuple(channel for order in orders for channel in order)


def _banks(draft: _Draft, section: Section, filters: list[_Filter]) -> str:
    """The rows of a layer with a bank of weights for each input: one where they can be stacked, else one for each."""
    inputs, name = draft.inputs_of(section), draft.row_name(section)
    _note_borrowed(draft, section)
    own = _own_parameters(draft, section, len(inputs))
    alike = len({(kind, tuple(sorted(map(str, settings.items())))) for kind, settings, _ in filters}) == 1
    sides = {draft.shapes[read][1:] for read in inputs}
    kind, settings, connections = filters[0]
    if len(inputs) == 1 or (
        alike
        and len(sides) == 1
        and settings.get("groups", 1) == 1
        and len(set(own)) == 1
        and not any(each for _, _, each in filters)
    ):
        read = inputs
        if connections:
            read = (draft.put(section, Select(draft.row_name(section, "_select"), connections, inputs=inputs)),)
        draft.banks[name] = tuple(
            Bank(section.name, i, _size(kind, draft.shapes[each])) for i, each in enumerate(inputs)
        )
        return draft.put(section, kind(name, inputs=read, **settings))
    parts = []
    for i, (read_name, (kind, settings, connections)) in enumerate(zip(inputs, filters, strict=True)):
        read_one = (read_name,)
        suffix = f"_of_{read_name}"
        if connections:
            read_one = (
                draft.put(section, Select(draft.row_name(section, f"{suffix}_select"), connections, inputs=read_one)),
            )
        row = kind(draft.row_name(section, suffix), inputs=read_one, **{**settings, "has_bias": i == 0})
        draft.banks[row.name] = (Bank(section.name, i, _size(kind, draft.shapes[read_name])),)
        parts.append(draft.put(section, row))
    return draft.put(section, Sum(name, inputs=tuple(parts)))


def _size(kind: type[Row], shape: Shape) -> int:
    channels, height, width = shape
    return channels if kind is not Fc else channels * height * width


def _own_parameters(draft: _Draft, section: Section, count: int) -> list[tuple[str, ...]]:
    """What the parameter file says of each input's weights, as it stands there."""
    found = draft.parameters.get(section.name)
    if found is None:
        return [()] * count
    columns = [items for key in PER_INPUT if len(items := found.items(key.lower())) == count]
    return [tuple(column[i] for column in columns) for i in range(count)]


PER_INPUT = ("epsW", "momW", "wc", "wball", "wcNormMin", "wcNormMax")  # lists in the parameter file


def _note_borrowed(draft: _Draft, section: Section) -> None:
    if "weightSource" in section and any(section.items("weightsource")):
        section.refuse("shared weights are in no released file, and are not read", "weightSource")
    for key in ("initWFunc", "initBFunc", "initCFunc"):
        if function := section.text(key, "").strip():
            draft.borrowed.append(Borrowed(section.name, function))


def _one(build: Callable[[_Draft, Section, str, str], Row]) -> Callable[[_Draft, Section], str]:
    """A layer that is one row of one input."""

    def add(draft: _Draft, section: Section) -> str:
        inputs = draft.inputs_of(section)
        if len(inputs) != 1:
            section.refuse(f"has {len(inputs)} inputs, and takes one", "inputs")
        return draft.put(section, build(draft, section, draft.row_name(section), inputs[0]))

    return add


def _check_channels(draft: _Draft, section: Section, read: str) -> None:
    channels, has = section.whole("channels", least=1), draft.shapes[read][0]
    if channels != has:
        section.refuse(f"{channels} for {section.text('inputs')}, which has {has}", "channels")


def _pool(draft: _Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    kinds = {"max": MaxPool, "avg": AvgPool, "rand": RandomPool}
    way, size, stride = section.text("pool").strip(), section.whole("sizeX", least=1), section.whole("stride", least=1)
    if way not in kinds:
        section.refuse(f"{way!r} is none of {', '.join(kinds)}", "pool")
    if not stride <= size <= draft.shapes[read][1]:
        section.refuse(f"windows of {size}, {stride} apart, do not cover {draft.shapes[read][1]} pixels", "sizeX")
    if section.whole("start", 0):
        section.refuse("windows that begin elsewhere are in no released file, and are not read", "start")
    kind = kinds[way]
    if kind is RandomPool and (constants := draft.parameters.get(section.name)) and constants.flag("doMax", False):
        kind = MaxPool
    row = kind(name, size, stride, inputs=(read,))
    wanted, gives = section.whole("outputsX", 0), output_of(draft.name, row, [draft.shapes[read]])[1]
    if wanted not in (0, gives):
        section.refuse(f"{wanted}, where windows that cover the image are {gives}", "outputsX")
    return row


def _cross_map_norm(draft: _Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    if section.flag("blocked", False):
        section.refuse("windows that do not overlap are in no released file, and are not read", "blocked")
    constants = draft.constants(section)
    return Lrn(
        name,
        inputs=(read,),
        size=section.whole("size", least=2),
        alpha=constants.real("scale", NORM_145[0]),
        beta=constants.real("pow", NORM_145[1]),
        k=constants.real("minDiv", NORM_145[2] if "scale" not in constants else 1.0),
    )


NORM_145 = (1e-4, 0.75, 2.0)  # scale, pow, minDiv: what a definition without its parameters is taken to mean
SAME_MAP_145 = (1e-3, 0.75)


def _map_norm(kind: type[SameMapNorm] | type[ContrastNorm]) -> Callable[[_Draft, Section, str, str], Row]:
    def build(draft: _Draft, section: Section, name: str, read: str) -> Row:
        _check_channels(draft, section, read)
        constants = draft.constants(section)
        size = section.whole("size" if "size" in section else "sizeX", least=1)
        scale, power = constants.real("scale", SAME_MAP_145[0]), constants.real("pow", SAME_MAP_145[1])
        return kind(name, inputs=(read,), size=size, alpha=scale, beta=power)

    return build


def _dropout(draft: _Draft, section: Section, name: str, read: str) -> Row:
    keep = section.real("keep")
    if not 0 < keep <= 1:
        section.refuse(f"{keep:g} is no share of units, above 0 and up to 1", "keep")
    parameters = draft.parameters.get(section.name)
    if parameters and "enable" in parameters and not parameters.flag("enable"):
        return Sum(name, inputs=(read,), coefficients=(keep,))
    return Dropout(name, 1 - keep, inputs=(read,))


def _neuron(draft: _Draft, section: Section, name: str, read: str) -> Row:  # noqa: ARG001
    neuron = section.text("neuron").strip()
    if neuron not in _NEURONS:
        section.refuse(f"{neuron!r} is in no released file; known: {', '.join(_NEURONS)}", "neuron")
    return _NEURONS[neuron](name, inputs=(read,))


def _blur(draft: _Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    size, std = section.whole("filterSize"), section.real("stdev")
    if size not in (3, 5, 7, 9):
        section.refuse(f"{size} is none of 3, 5, 7, 9", "filterSize")
    if std <= 0:
        section.refuse(f"{std:g} must be above 0", "stdev")
    return Blur(name, size, std, inputs=(read,))


def _subsample(draft: _Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    return Subsample(name, section.whole("stride", least=1), inputs=(read,))


def _mirror(draft: _Draft, section: Section, name: str, read: str) -> Row:
    _check_channels(draft, section, read)
    return Mirror(name, inputs=(read,))


def _sum(draft: _Draft, section: Section) -> str:
    inputs = draft.inputs_of(section)
    coefficients = section.reals("coeffs", len(inputs), 1.0)
    weights = () if set(coefficients) == {1.0} else coefficients
    return draft.put(section, Sum(draft.row_name(section), inputs=inputs, coefficients=weights))


def _concat(draft: _Draft, section: Section) -> str:
    return draft.put(section, Concat(draft.row_name(section), inputs=draft.inputs_of(section)))


_NEURONS: dict[str, type[Row]] = {"relu": Relu, "logistic": Logistic}

_LAYERS: dict[str, Callable[[_Draft, Section], str]] = {
    "conv": _conv,
    "local": _conv,
    "fc": _fc,
    "pool": _one(_pool),
    "cmrnorm": _one(_cross_map_norm),
    "rnorm": _one(_map_norm(SameMapNorm)),
    "cnorm": _one(_map_norm(ContrastNorm)),
    "hs": _one(_dropout),
    "softmax": _one(lambda _draft, _section, name, read: Softmax(name, inputs=(read,))),
    "neuron": _one(_neuron),
    "eltsum": _sum,
    "concat": _concat,
    "blur": _one(_blur),
    "nailbed": _one(_subsample),
    "href": _one(_mirror),
}
