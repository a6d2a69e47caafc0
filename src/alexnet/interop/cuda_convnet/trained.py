"""The layers of a checkpoint become a definition and tensors: no other file is needed.

What the definition file and the parameter file said stands in the layers too, some of it changed: padding negated,
filters counted over all groups, a norm's scale divided by its window. It is put back, so that what reads the files
reads checkpoints. Source: 2012 release, layer.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import Conv, Fc, Local, Row
from alexnet.arch.shapes import RowShape, measure
from alexnet.arch.spec import MOST_ROWS
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.checkpoint import Checkpoint
from alexnet.interop.cuda_convnet.config import Section, Value
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.interop.cuda_convnet.draft import Bank

Array = NDArray[np.float32]
Layer = Mapping[str, Any]
Sections = Mapping[str, Section]

# Keys that were in the definition file: all but those of functions, which have been run.
_DEFINED = (
    "type", "inputs", "channels", "filters", "filterSize", "groups", "stride", "padding", "filterChannels",
    "randSparse", "sharedBiases", "weightSource", "initW", "initB", "outputs", "keep", "pool", "sizeX", "start",
    "outputsX", "size", "blocked", "stdev", "coeffs", "dataIdx", "neuron",
)  # fmt: skip
# Those of the parameter file that answers depend on.
_PARAMETERS = ("scale", "pow", "minDiv", "doMax", "enable")

_FILTERED, _WEIGHTED = ("conv", "local"), ("conv", "local", "fc", "treefc")
_WINDOW_SIDES = {"cmrnorm": 1, "rnorm": 2, "cnorm": 2}  # along which a norm's window has its size
_WEIGHT_STD = 0.01  # ours, where a layer has none: its weights are known
_LONGEST_WORD, _LONGEST_NUMBER = 256, 64  # ours: characters, bits

_LEFT_OUT = {"weightsInc": "increments", "epsW": "rates"}  # what layers have that weights do not

_OUTPUTS: Mapping[type[Row], int] = {Conv: 0, Fc: 0, Local: 1}  # the axis of a weight as torch lays it out


class Trained(NamedTuple):
    """A net and its numbers by row: `conv1.weight`, `conv1.bias`. left_out: what else the checkpoint tells of its run,
    for people.
    """

    definition: Definition
    tensors: dict[str, Array]
    left_out: tuple[str, ...]


def trained_net(checkpoint: Checkpoint, *, name: str, source: str) -> Trained:
    """The net in a checkpoint.

    Raises:
        InputError: layers that are missing, do not fit together, have a setting that is not read, or other arrays than
            they say; names layer and key.
        SpecError: layers that do not fit together.
    """
    layers = checkpoint.layers
    sections = _in_order({each: _as_defined(each, layer) for each, layer in layers.items()})
    definition = define(
        sections,
        {each: _as_parameters(section, layers[each]) for each, section in sections.items()},
        name=name,
        source=source,
        input_size=_input_size(sections),
        connections=_connections(sections, layers),
    )
    return Trained(definition, _tensors(definition, layers), _left_out(checkpoint))


def _as_defined(name: str, layer: Layer) -> Section:
    """The layer as its definition file had it."""
    neuron = layer.get("neuron")
    neuron = neuron.get("type") if isinstance(neuron, dict) else neuron  # a dict where it is a layer of its own
    section = _section(name, {**layer, "neuron": neuron}, _DEFINED)
    kind, count = section.text("type"), len(section.items("inputs"))
    if kind in _FILTERED:
        totals, groups = section.wholes("filters", count), section.wholes("groups", count, 1, least=1)
        if any(total % by for total, by in zip(totals, groups, strict=True)):
            section.refuse(
                f"{section.text('filters')} are not equally many in {section.text('groups')} groups", "filters"
            )
        _put(section, "filters", [total // by for total, by in zip(totals, groups, strict=True)])
        _put(section, "padding", [-start for start in section.wholes("padding", count, 0)])
    if kind in _WEIGHTED and "initW" not in section:
        _put(section, "initW", [_WEIGHT_STD] * count)
    return section


def _as_parameters(defined: Section, layer: Layer) -> Section:
    """The layer as its parameter file had it."""
    section = _section(defined.name, layer, _PARAMETERS)
    if sides := _WINDOW_SIDES.get(defined.text("type")):
        scale = section.real("scale") * defined.whole("size", least=1) ** sides
        _put(section, "scale", f"{scale:.12g}")  # the last digits are what the division has rounded
    return section


def _section(name: str, layer: Layer, keys: Iterable[str]) -> Section:
    section = Section("", name, 0)
    for key in keys:
        if layer.get(key) is not None:
            _put(section, key, layer[key])
    return section


def _put(section: Section, key: str, value: Any) -> None:
    """A value, or a list of some, as text."""
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > MOST_ROWS or not all(map(_is_plain, items)):
        section.refuse("is neither a number nor a word, nor a list of such", key)
    texts = (str(int(item) if isinstance(item, bool | np.bool_) else item) for item in items)
    section.values[key.lower()] = Value(",".join(texts), 0)


def _is_plain(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= _LONGEST_WORD and value.isprintable()
    if type(value) is int:
        return value.bit_length() <= _LONGEST_NUMBER
    return isinstance(value, bool | float | np.number | np.bool_)


def _in_order(sections: Sections) -> dict[str, Section]:
    """Layers after those that they read; in a dict of Python 2 they are in none."""
    inputs = {name: [read for read in sections[name].items("inputs") if read] for name in sorted(sections)}
    for name, reads in inputs.items():
        if missing := [read for read in reads if read not in sections]:
            sections[name].refuse(f"reads {missing[0]}, which the checkpoint has not", "inputs")
    try:
        return {name: sections[name] for name in TopologicalSorter(inputs).static_order()}
    except CycleError as error:
        _, circle = error.args
        raise InputError(f"layers that read each other in a circle: {', '.join(circle[:4])}") from None


def _input_size(sections: Sections) -> int | None:
    """The side of the images, from the size of the data layer that gives them."""
    for section in sections.values():
        if section.text("type") == "data" and "outputs" in section and section.whole("dataIdx") == 0:
            outputs = section.whole("outputs", least=3)
            side = isqrt(outputs // 3)
            if 3 * side**2 != outputs:
                section.refuse(f"{outputs} values are no square image of three colours", "outputs")
            return side
    return None


def _connections(sections: Sections, layers: Mapping[str, Layer]) -> dict[tuple[str, int], tuple[int, ...]]:
    """The channels that sparse groups read, by layer and input."""
    return {
        (name, place): _channels(section, layers[name], place)
        for name, section in sections.items()
        if section.text("type") in _FILTERED
        for place, is_sparse in enumerate(section.flags("randSparse", len(section.items("inputs"))))
        if is_sparse
    }


def _channels(section: Section, layer: Layer, place: int) -> tuple[int, ...]:
    found = _item(layer.get("filterConns"), place)
    channels = found.ravel().tolist() if isinstance(found, np.ndarray) else found
    if not isinstance(channels, list) or not all(isinstance(channel, int | np.integer) for channel in channels):
        section.refuse(f"no list of channels for {section.items('inputs')[place]}", "filterConns")
    return tuple(map(int, channels))


def _tensors(definition: Definition, layers: Mapping[str, Layer]) -> dict[str, Array]:
    """The arrays of each row as torch lays them out."""
    found: dict[str, Array] = {}
    for shape in measure(definition.spec):
        row = shape.row.name
        if row not in definition.banks:
            continue
        banks = definition.banks[row]
        section, layer = definition.sections[banks[0].layer], layers[banks[0].layer]
        outputs = _OUTPUTS[type(shape.row)]
        shares = _shares(shape, banks, outputs)
        parts = [_weight(section, layer, bank.place, wanted, outputs) for bank, wanted in shares]
        found[f"{row}.weight"] = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=outputs + 1)
        if shape.bias:
            found[f"{row}.bias"] = _bias(section, layer, shape.bias)
    return found


def _shares(shape: RowShape, banks: tuple[Bank, ...], outputs: int) -> Iterator[tuple[Bank, tuple[int, ...]]]:
    """Each bank with the shape of its part of the row's weights: they differ in the number of inputs."""
    for bank in banks:
        inputs = (bank.inputs,) if len(banks) > 1 else shape.weight[outputs + 1 : outputs + 2]  # of a group, a part
        yield bank, (*shape.weight[: outputs + 1], *inputs, *shape.weight[outputs + 2 :])


def _weight(section: Section, layer: Layer, place: int, wanted: tuple[int, ...], outputs: int) -> Array:
    """The weights for one input. In 2012 the outputs, here the axis of this number, came last, and all else was one."""
    others = wanted[:outputs] + wanted[outputs + 1 :]
    stored = _array(section, "weights", _item(layer.get("weights"), place), [(prod(others), wanted[outputs])], place)
    return np.moveaxis(stored.reshape(*others, wanted[outputs]), -1, outputs)


def _bias(section: Section, layer: Layer, wanted: tuple[int, ...]) -> Array:
    count = prod(wanted)
    return _array(section, "biases", layer.get("biases"), [(count, 1), (1, count)]).reshape(wanted)


def _array(section: Section, key: str, value: Any, shapes: list[tuple[int, int]], place: int | None = None) -> Array:
    of = "" if place is None else f" for {section.items('inputs')[place]}"
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        section.refuse(f"no array of numbers{of}", key)
    if value.shape not in shapes:
        found, *wanted = (" x ".join(map(str, shape)) or "one number" for shape in (value.shape, *shapes))
        section.refuse(f"{found}{of}, where {' or '.join(wanted)} belong", key)
    return value


def _item(values: Any, place: int) -> Any:
    """None where there is none."""
    return values[place] if isinstance(values, list | tuple) and place < len(values) else None


def _left_out(checkpoint: Checkpoint) -> tuple[str, ...]:
    layers = checkpoint.layers.values()
    of_layers = (what for key, what in _LEFT_OUT.items() if any(key in layer for layer in layers))
    return (f"epoch {checkpoint.epoch}", f"batch {checkpoint.batch}", *of_layers)
