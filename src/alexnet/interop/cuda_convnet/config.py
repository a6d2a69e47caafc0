"""The text that cuda-convnet's nets are written in: sections of keys, every value with the line it stands on.

Source: 2012 release, layer.py, which read it with Python 2's SafeConfigParser: sections in order, repeated ones joined,
keys of any case, the last of equal keys counts, comments in lines of their own or after " ;". Standard library only.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

from alexnet.errors import InputError

MOST_BYTES = 1 << 20  # ours: the longest released file has 20 thousand
_LONGEST = 1 << 14  # ours, of a value: those of the released files have under a hundred characters
_MOST_GROWN = 4 * MOST_BYTES  # ours, of all values: few bytes of references to references could ask for any memory
# Of layers, of every kind, and of their parameters, in lower case. Others are passed over, as in 2012, unless they look
# like one of these: a mistyped one would be another net.
KEYS = frozenset((
    "type", "inputs", "gpu", "neuron", "quantf", "quantb", "dataidx", "channels", "filters", "filtersize", "initw",
    "partialsum", "padding", "stride", "groups", "initb", "sharedbiases", "randsparse", "filterchannels",
    "weightsource", "initwfunc", "initbfunc", "initcfunc", "outputs", "sizex", "pool", "start", "outputsx", "domax",
    "size", "scale", "pow", "mindiv", "blocked", "keep", "enable", "coeffs", "coeff", "topk", "stdev", "maxscale",
    "tgtsize", "center", "setsize", "threads", "epsw", "epsb", "momw", "momb", "wc", "wball", "supereps",
    "supermom", "sched", "schedw", "schedb", "wcnormmax", "wcnormmin",
))  # fmt: skip
_ALIKE = 0.8  # of difflib's ratio

DEFAULT = "DEFAULT"  # the section whose keys all others have too

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
_SETTING = re.compile(r"(?P<key>[^:=\s][^:=]*)[:=](?P<value>.*)")
_INLINE_COMMENT = re.compile(r"\s;.*")
_REFERENCE = re.compile(r"%(?:%|\((?P<key>[^)]*)\)s|)")
_DEEPEST = 10  # references that refer to others

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}

Item = TypeVar("Item")


class Value(NamedTuple):
    """What stands after a key, and on which line."""

    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """A layer: its name, and its values by key in lower case. Whatever is read from it is checked, and where it fails
    the error names file, line, layer and key. A layer of a checkpoint has no file and no line: "" and 0.
    """

    file: str
    name: str
    line: int
    values: dict[str, Value] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key.lower() in self.values

    def text(self, key: str, default: str | None = None) -> str:
        """The value as it stands.

        Raises:
            InputError: it is missing and there is no default, as in all that follow.
        """
        found = self.values.get(key.lower())
        if found is not None:
            return found.text
        if default is None:
            self.refuse(f"needs {key}")
        return default

    def whole(self, key: str, default: int | None = None, *, least: int | None = None) -> int:
        """A whole number, not below `least`."""
        return self._one(key, default, self._converter(key, "a whole number", int, least))

    def real(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        return self._one(key, default, self._converter(key, "a number", float, None))

    def flag(self, key: str, default: bool | None = None) -> bool:
        """1, true, yes, on, or their opposites."""
        return self._one(key, default, lambda text: self._flag(key, text))

    def wholes(self, key: str, count: int, default: int | None = None, *, least: int | None = None) -> tuple[int, ...]:
        """`count` whole numbers: one for each input."""
        return self._list(key, count, default, self._converter(key, "a whole number", int, least))

    def reals(self, key: str, count: int, default: float | None = None) -> tuple[float, ...]:
        """`count` finite numbers."""
        return self._list(key, count, default, self._converter(key, "a number", float, None))

    def flags(self, key: str, count: int) -> tuple[bool, ...]:
        """`count` of 1 or true, all else meaning no, as in 2012; no where the key is missing."""
        return self._list(key, count, False, lambda text: text.lower() in ("1", "true"))

    def items(self, key: str) -> tuple[str, ...]:
        """The items of a list, as they stand; `()` where the key is missing."""
        return tuple(item.strip() for item in self.values[key].text.split(",")) if key in self.values else ()

    def refuse(self, why: str, key: str | None = None) -> NoReturn:
        """Say what is wrong with this layer, or with one of its keys."""
        value = self.values.get(key.lower()) if key else None
        line = value.line if value else self.line
        where = (self.file, f"line {line}" if line else "", f"layer {self.name}", key)
        raise InputError(f"{', '.join(filter(None, where))}: {why}")

    def _one(self, key: str, default: Item | None, convert: Callable[[str], Item]) -> Item:
        if default is not None and key not in self:
            return default
        return convert(self.text(key).strip())

    def _list(self, key: str, count: int, default: Item | None, convert: Callable[[str], Item]) -> tuple[Item, ...]:
        if default is not None and key not in self:
            return (default,) * count
        found = [item.strip() for item in self.text(key).split(",")]
        if len(found) != count:
            self.refuse(f"{len(found)} items for {count} inputs", key)
        return tuple(convert(item) for item in found)

    def _converter(self, key: str, what: str, kind: Callable[[str], Item], least: int | None) -> Callable[[str], Item]:
        def convert(text: str) -> Item:
            try:
                number = kind(text)
            except ValueError:
                self.refuse(f"{text!r} is not {what}", key)
            if not abs(number) < float("inf"):  # type: ignore[arg-type]
                self.refuse(f"{text} is not {what}", key)
            if least is not None and number < least:  # type: ignore[operator]
                self.refuse(f"{text} is too small, it must be {least} or more", key)
            return number

        return convert

    def _flag(self, key: str, text: str) -> bool:
        if text.lower() not in _TRUE | _FALSE:
            self.refuse(f"{text!r} is neither true nor false", key)
        return text.lower() in _TRUE


def read_sections(path: Path) -> dict[str, Section]:
    """The sections of a file by name, in order.

    Raises:
        InputError: not there, no text, too long, a line that is none of section, key, comment and continuation, or a
            key that looks like another, mistyped.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1).removeprefix(BOM_UTF8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES or b"\0" in content:
        raise InputError(f"{path} is no definition of a net: it is no text, or longer than {MOST_BYTES:,} bytes")
    sections = parse_sections(content.decode("latin-1"), str(path))
    for section in sections.values():
        _check_keys(section)
    return sections


def _check_keys(section: Section) -> None:
    for key in section.values.keys() - KEYS:
        if near := get_close_matches(key, KEYS, n=1, cutoff=_ALIKE):
            section.refuse(f"no layer has this key; did you mean {near[0]}?", key)


def parse_sections(text: str, file: str) -> dict[str, Section]:
    """The sections of a text; `file` is what errors call it."""
    sections: dict[str, Section] = {}
    section: Section | None = None
    key = ""
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{file}, line {number}"
        line = _INLINE_COMMENT.sub("", line.rstrip())
        if not line.strip() or line[0] in "#;":
            continue
        if line[0].isspace() and section and key:
            before = section.values[key]
            if len(before.text) > _LONGEST:
                section.refuse(f"longer than {_LONGEST:,} characters", key)
            section.values[key] = Value(f"{before.text}\n{line.strip()}".strip(), before.line)
        elif found := _SECTION.match(line):
            name, key = found["name"].strip(), ""
            section = sections.setdefault(name, Section(file, name, number))
        elif section is None:
            raise InputError(f"{where}: {line.strip()!r} stands before the first [section]")
        elif found := _SETTING.fullmatch(line.strip()):
            key = found["key"].strip().lower()
            value = found["value"].strip()
            section.values[key] = Value("" if value == '""' else value, number)
        else:
            raise InputError(f"{where}: {line.strip()!r} is neither [section] nor key=value")
    return dict(_resolved(sections))


def _resolved(sections: dict[str, Section]) -> Iterator[tuple[str, Section]]:
    """The sections with what they have from DEFAULT, and `%(key)s` replaced by the value of that key."""
    shared = sections.pop(DEFAULT).values if DEFAULT in sections else {}
    grown = 0
    for name, section in sections.items():
        whole = Section(section.file, name, section.line, shared | section.values)
        found: dict[str, str] = {}
        for key in whole.values:
            grown += len(_interpolated(whole, key, found)) + 1
            if grown > _MOST_GROWN:
                section.refuse(f"{DEFAULT} and references grow the file beyond {_MOST_GROWN:,} characters")
        values = {key: Value(found[key], value.line) for key, value in whole.values.items()}
        yield name, Section(section.file, name, section.line, values)


def _interpolated(section: Section, key: str, found: dict[str, str], depth: int = 0) -> str:
    """The value of a key without references. `found`: those of the section so far, each looked for once."""
    text, length = section.values[key].text, 0

    def replace(reference: re.Match[str]) -> str:
        nonlocal length
        if reference[0] == "%%":
            return "%"
        name = (reference["key"] or "").lower()
        if name not in section.values or depth == _DEEPEST:
            section.refuse(f"{text[:100]!r} refers to nothing; write %% for a percent sign", key)
        value = _interpolated(section, name, found, depth + 1)
        length += len(value)
        if length > _LONGEST:
            section.refuse(f"its references make it longer than {_LONGEST:,} characters", key)
        return value

    if key not in found:
        found[key] = _REFERENCE.sub(replace, text)
    return found[key]
