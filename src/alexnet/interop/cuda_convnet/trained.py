"""The layers of a checkpoint become a definition and tensors: no other file is needed.

What the definition file said stands in the layers too, some of it changed: padding negated, filters counted over all
groups, a norm's scale divided by its window. Source: 2012 release, layer.py.
"""

from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import Conv, Fc, Local, Row
from alexnet.arch.shapes import measure
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.checkpoint import Checkpoint
from alexnet.interop.cuda_convnet.config import Section, Value
from alexnet.interop.cuda_convnet.definition import Definition, define

Array = NDArray[np.float32]
Layer = Mapping[str, Any]

WEIGHTS, INCREMENTS = ("weights", "biases"), ("weightsInc", "biasesInc")

_PLAIN = (
    "type", "inputs", "channels", "filterSize", "groups", "stride", "filterChannels", "randSparse", "sharedBiases",
    "outputs", "keep", "enable", "pool", "sizeX", "size", "pow", "minDiv", "stdev", "coeffs", "dataIdx", "gpu",
)  # fmt: skip


class Trained(NamedTuple):
    """A net and its numbers by row: `conv1.weight`, `conv1.bias`. increments: what the last update added, likewise."""

    definition: Definition
    tensors: dict[str, Array]
    increments: dict[str, Array]


def trained_net(checkpoint: Checkpoint, *, name: str, source: str) -> Trained:
    """The net in a checkpoint.

    Raises:
        InputError: layers that are missing, do not fit together, or have other arrays than they say.
    """
    layers = _in_order(checkpoint.layers)
    sections = {each: _section(each, layer, source) for each, layer in layers.items()}
    definition = define(
        sections, {}, name=name, source=source, input_size=_input_size(layers), connections=_connections(layers)
    )
    tensors = _tensors(definition, layers, WEIGHTS)
    has_increments = all(INCREMENTS[0] in layers[bank.layer] for banks in definition.banks.values() for bank in banks)
    return Trained(definition, tensors, _tensors(definition, layers, INCREMENTS) if has_increments else {})


def _in_order(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Layers after those that they read; in a dict of Python 2 they are in none."""
    inputs = {name: _names(layer.get("inputs", [])) for name, layer in layers.items()}
    if missing := sorted({each for names in inputs.values() for each in names} - layers.keys()):
        raise InputError(f"a layer reads {', '.join(missing)}, which the checkpoint has not")
    try:
        order = TopologicalSorter({name: inputs[name] for name in sorted(layers)}).static_order()
        return {name: layers[name] for name in order}
    except CycleError:
        raise InputError("layers that read each other in a circle") from None


def _names(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(type(name) is str for name in value):
        raise InputError("a layer whose inputs are no names")
    return list(value)


def _section(name: str, layer: Layer, file: str) -> Section:
    """The layer as a definition file would have it."""
    values = {key: layer[key] for key in _PLAIN if key in layer}
    section = Section(file, name, 0, {key.lower(): Value(_text(value), 0) for key, value in values.items()})
    kind, groups = section.text("type", ""), section.items("groups") or ("1",)

    def put(key: str, value: Any) -> None:
        section.values[key.lower()] = Value(_text(value), 0)

    if "padding" in layer:
        put("padding", [-item for item in _numbers(layer["padding"])])
    if kind in ("conv", "local") and "filters" in layer:
        totals = _numbers(layer["filters"])
        put("filters", [int(total) // max(1, int(group)) for total, group in zip(totals, groups, strict=False)])
    if kind in ("conv", "local", "fc", "treefc"):
        put("initW", [0.01] * max(1, len(_names(layer.get("inputs", [])))))
    if "scale" in layer:
        window = int(section.real("size", 1.0))
        put("scale", float(layer["scale"]) * (window if kind == "cmrnorm" else window**2))
    neuron = layer.get("neuron")
    if neuron:
        put("neuron", neuron.get("type", "") if isinstance(neuron, dict) else neuron)
    return section


def _numbers(value: Any) -> list[float]:
    items = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, int | float | np.number) for item in items):
        raise InputError("a layer whose settings are no numbers")
    return list(items)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(int(value)) if isinstance(value, bool | np.bool_) else str(value)


def _input_size(layers: Mapping[str, Layer]) -> int | None:
    """The side of the images, from the size of the data layer that gives them."""
    for layer in layers.values():
        outputs = layer.get("outputs")
        if layer.get("type") == "data" and layer.get("dataIdx") == 0 and type(outputs) is int and outputs >= 3:
            return isqrt(outputs // 3)
    return None


def _connections(layers: Mapping[str, Layer]) -> dict[tuple[str, int], tuple[int, ...]]:
    """The channels that sparse groups read, by layer and input."""
    return {
        (name, index): tuple(int(channel) for channel in np.asarray(each).ravel())
        for name, layer in layers.items()
        if isinstance(layer.get("filterConns"), list) and any(_numbers(layer.get("randSparse", 0)))
        for index, each in enumerate(layer["filterConns"])
        if each is not None
    }


def _tensors(definition: Definition, layers: Mapping[str, Layer], names: tuple[str, str]) -> dict[str, Array]:
    """The arrays of each row as torch lays them out."""
    found: dict[str, Array] = {}
    of_weights, of_biases = names
    for shape in measure(definition.spec):
        row = shape.row.name
        if row not in definition.banks:
            continue
        banks = definition.banks[row]
        layer = layers[banks[0].layer]
        turn = _TURNS[type(shape.row)]
        parts = [turn(_array(layer, of_weights, bank.place, bank.layer), shape.weight) for bank in banks]
        found[f"{row}.weight"] = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if shape.bias:
            found[f"{row}.bias"] = _array(layer, of_biases, None, banks[0].layer).reshape(-1)
        for part, wanted in (("weight", shape.weight), ("bias", shape.bias)):
            if not wanted:
                continue
            key = f"{row}.{part}"
            if found[key].size != np.prod(wanted):
                raise InputError(f"layer {banks[0].layer} has {part} of {found[key].shape} where {wanted} belongs")
            found[key] = found[key].reshape(wanted)
    return found


def _array(layer: Layer, name: str, index: int | None, of: str) -> Array:
    value = layer.get(name)
    if index is not None:
        value = value[index] if isinstance(value, list) and index < len(value) else None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise InputError(f"layer {of} has no {name} of numbers")
    return value


def _turned_conv(array: Array, shape: tuple[int, ...]) -> Array:
    """(C k k, F) to (F, C, k, k)."""
    size = shape[-1]
    return _reshaped(array, (-1, size, size, array.shape[-1])).transpose(3, 0, 1, 2)


def _turned_local(array: Array, shape: tuple[int, ...]) -> Array:
    """(positions C k k, F) to (positions, F, C, k, k)."""
    positions, size = shape[0], shape[-1]
    return _reshaped(array, (positions, -1, size, size, array.shape[-1])).transpose(0, 4, 1, 2, 3)


def _turned_fc(array: Array, _: tuple[int, ...]) -> Array:
    """(in, out) to (out, in)."""
    return array.T


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    try:
        return array.reshape(shape)
    except ValueError:
        raise InputError(f"weights of {array.shape} are no filters of {shape[-2]} pixels") from None


_TURNS: Mapping[type[Row], Callable[[Array, tuple[int, ...]], Array]] = {
    Conv: _turned_conv,
    Fc: _turned_fc,
    Local: _turned_local,
}
