"""The layers of a .prototxt file, of either syntax, as the one thing that both say: what a net is in its test phase.

Source: BVLC/caffe, src/caffe/util/upgrade_proto.cpp (what the older syntax means) and src/caffe/net.cpp (phases).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from alexnet.errors import InputError
from alexnet.interop.caffe.keys import check_keys
from alexnet.interop.caffe.schema import enum_name, is_repeated, net_message
from alexnet.interop.caffe.v1 import V1_TYPES

TRAIN, TEST = "TRAIN", "TEST"
_SIDES = 4

MOST_BYTES = 1 << 18  # ours: the definition of a net of a thousand layers has about as much
_LONGEST_LINE = 1 << 14  # ours: the library takes time by the square of it
_MOST_LAYERS = 1 << 10  # ours, too
_LONGEST_NAME = 256  # ours, of a net
LARGEST = 1 << 20  # of a whole number. Ours: beyond any side, width or count of a net of images


@dataclass(frozen=True)
class Settings:
    """What one layer says under one key, such as `convolution_param`. What is read from it is checked, and where it
    fails the error names file, layer and key.
    """

    layer: "Layer"
    key: str
    message: Any

    def __contains__(self, key: str) -> bool:
        return bool(getattr(self.message, key) if is_repeated(self.message, key) else self.message.HasField(key))

    def whole(self, key: str, *, least: int = 0) -> int:
        """A whole number, not below `least`; what Caffe takes where it is missing.

        Raises:
            InputError: too small or too large, as in all that follow; or missing, where 0 is too small.
        """
        if key not in self and not self.message.DESCRIPTOR.fields_by_name[key].has_default_value:
            self.refuse("is missing", key)
        return self._checked(getattr(self.message, key), key, least)

    def real(self, key: str) -> float:
        """A finite number."""
        return self._finite(getattr(self.message, key), key)

    def reals(self, key: str) -> tuple[float, ...]:
        """Finite numbers."""
        return tuple(self._finite(value, key) for value in getattr(self.message, key))

    def wholes(self, key: str) -> tuple[int, ...]:
        """Whole numbers from 0."""
        return tuple(self._checked(value, key, 0) for value in getattr(self.message, key))

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(getattr(self.message, key))

    def choice(self, key: str) -> str:
        """The name of one of several values."""
        return enum_name(self.message, key)

    def text(self, key: str) -> str:
        """A text, empty where there is none."""
        return str(getattr(self.message, key))

    def inner(self, key: str) -> "Settings":
        """Settings within these."""
        return Settings(self.layer, f"{self.key}.{key}", getattr(self.message, key))

    def square(self, name: str, high: str, wide: str, *, least: int, default: int | None = None) -> int:
        """A number that Caffe may have twice, for height and width: the two must be equal.

        Raises:
            InputError: they differ, or it is missing and there is no default.
        """
        sides = self.wholes(name) if is_repeated(self.message, name) else (self.whole(name),) if name in self else ()
        sides += tuple(self.whole(key) for key in (high, wide) if key in self)
        if not sides and default is None:
            self.refuse("is missing", name)
        if len(set(sides)) > 1:
            self.refuse(f"{' and '.join(map(str, sides))}: only squares are read", name)
        return self._checked(sides[0], name, least) if sides else default or 0

    def expect(self, key: str, value: object, why: str) -> None:
        """Refuse a field that is neither missing nor `value`.

        Raises:
            InputError: it is something else.
        """
        if key in self and getattr(self.message, key) != value:
            self.refuse(f"{getattr(self.message, key)}: {why}", key)

    def refuse(self, why: str, key: str) -> NoReturn:
        """Say what is wrong with one of the keys."""
        self.layer.refuse(why, f"{self.key}.{key}")

    def _checked(self, value: int, key: str, least: int) -> int:
        if not least <= value <= LARGEST:
            self.refuse(f"{value} is too {'small' if value < least else 'large'}", key)
        return value

    def _finite(self, value: float, key: str) -> float:
        if not isfinite(value):
            self.refuse(f"{value} is no number to compute with", key)
        return value


@dataclass(frozen=True)
class Layer:
    """A layer: its name, its type by its present name, and the blobs that it reads and gives."""

    file: str
    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any

    def settings(self, key: str) -> Settings:
        """What it says under a key; Caffe's defaults where it says nothing."""
        return Settings(self, key, getattr(self.message, key))

    def __contains__(self, key: str) -> bool:
        known = self.message.DESCRIPTOR.fields_by_name
        return key in known and bool(self.message.HasField(key))

    def refuse(self, why: str, key: str | None = None) -> NoReturn:
        """Say what is wrong with this layer, or with one of its keys."""
        what = f"layer {self.name}{f', {key}' if key else ''}: {why}"
        raise InputError(f"{self.file}, {' '.join(what.split())}")  # names are of others, and may have lines

    def sides(self, sides: Sequence[int], key: str) -> tuple[int, int, int]:
        """(channels, height, width) of what has these sides: (N, C, H, W).

        Raises:
            InputError: not four, or no sides of images.
        """
        if len(sides) != _SIDES or not all(1 <= side <= LARGEST for side in sides[1:]):
            self.refuse(f"needs four numbers above 0 (N, C, H, W), not {list(sides)[: _SIDES + 1]}", key)
        return sides[1], sides[2], sides[3]


@dataclass(frozen=True)
class Inputs:
    """What a net is fed where no layer is its input: the blobs, and the (channels, height, width) of the first."""

    blobs: tuple[str, ...]
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class NetText:
    """A definition: the name of the net, its inputs, and its layers of one phase, in order, by phase."""

    name: str
    inputs: Inputs | None
    layers: Mapping[str, tuple[Layer, ...]]


def read_layers(path: Path) -> NetText:
    """What stands in a .prototxt file.

    Raises:
        InputError: no definition of a net, too long, of before 2014, or with keys that Caffe does not know.
        MissingExtraError: the protobuf library is not installed.
        OSError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} is no definition of a net: it is longer than {MOST_BYTES:,} bytes")
    try:
        return parse_layers(content.decode(), str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is no definition of a net: it is no text in UTF-8") from None


def parse_layers(text: str, file: str) -> NetText:
    """What stands in a text; `file` is what errors call it.

    Raises:
        InputError, MissingExtraError: as `read_layers`.
    """
    net = _parse(text, file)
    check_keys(text, file, [layer.name for layer in (net.layer or net.layers)])
    if net.layer and net.layers:
        raise InputError(f"{file} mixes layers of both syntaxes, layer {{ }} and layers {{ }}; write it in one")
    if not net.layer and not net.layers:
        raise InputError(f"{file} is no definition of a net: it has no layers")
    if len(net.layer) + len(net.layers) > _MOST_LAYERS:
        raise InputError(f"{file} has over {_MOST_LAYERS:,} layers")
    layers = [_layer(message, file) for message in (*net.layer, *net.layers)]
    phases = {phase: tuple(each for each in layers if _is_in(each, phase)) for phase in (TRAIN, TEST)}
    return NetText(" ".join(net.name.split())[:_LONGEST_NAME], _inputs(net, file), phases)


def _parse(text: str, file: str) -> Any:
    if max(map(len, text.split("\n"))) > _LONGEST_LINE:
        raise InputError(f"{file} is no definition of a net: it has a line of over {_LONGEST_LINE:,} characters")
    net = net_message()()
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, net, allow_unknown_field=True)
    except text_format.ParseError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is no definition of a net that can be read (line {reason[:200]})") from None
    except RecursionError:
        raise InputError(f"{file} is no definition of a net: it is nested too deeply") from None


def _layer(message: Any, file: str) -> Layer:
    is_v1 = message.DESCRIPTOR.name == "V1LayerParameter"
    if is_v1 and message.HasField("layer"):
        raise InputError(f"{file} is of 2013 (V0 layers); pass it through Caffe's upgrade_net_proto_text")
    kind = V1_TYPES[enum_name(message, "type")].name if is_v1 else message.type
    return Layer(file, message.name, kind, tuple(message.bottom), tuple(message.top), message)


def _inputs(net: Any, file: str) -> Inputs | None:
    if not net.input:
        return None
    sides = tuple(net.input_shape[0].dim) if net.input_shape else tuple(net.input_dim[:_SIDES])
    blobs = tuple(net.input)
    return Inputs(blobs, Layer(file, blobs[0], "Input", (), blobs, net).sides(sides, "input_dim"))


def _is_in(layer: Layer, phase: str) -> bool:
    """Whether a net has the layer in a phase, at level 0 and no stage, as Caffe's own tools run it."""
    include, exclude = layer.message.include, layer.message.exclude
    if include and exclude:
        layer.refuse("has rules to include and to exclude it; Caffe takes one kind")
    if include:
        return any(_is_met(rule, phase) for rule in include)
    return not any(_is_met(rule, phase) for rule in exclude)


def _is_met(rule: Any, phase: str) -> bool:
    return not rule.stage and all(_conditions(rule, phase))


def _conditions(rule: Any, phase: str) -> Iterator[bool]:
    if rule.HasField("phase"):
        yield enum_name(rule, "phase") == phase
    if rule.HasField("min_level"):
        yield rule.min_level <= 0
    if rule.HasField("max_level"):
        yield rule.max_level >= 0
