"""Changes to the content of files: of bytes, words, lines and instructions, at the surface and inside what is packed.

A change inside leaves the lengths and sums around it right: it gets past them, to what they guard.
"""

import gzip
import html
import io
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.fuzz.structured import Inside, has_settings, in_tensor, json_changed, setting_changed, value_changed

from alexnet.errors import InputError
from alexnet.interop.protobuf import read_fields, write_block, write_integer

LONGEST = 1 << 17  # bytes of a changed file

_DEEPER = 0.8  # how often a change goes inside where it can
_PROTOBUF = (b"\x08", b"\x0a", b"\xa2\x06", b"\x12")  # that the messages of nets begin with

_INTEGERS = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    0x7FFF,
    0xFFFF,
    1 << 20,
    0x7FFFFFFF,
    1 << 31,
    0xFFFFFFFF,
    1 << 62,
    (1 << 64) - 1,
)
_NUMBERS = b"0 -1 1 2 3 0.5 -0.5 1e-400 1e400 nan inf 2147483648 11111111111111111111".split()
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 3, 0.5, 1e300, 1 << 31, 1 << 64, 10**30),
    *("", "a\nb", "\x1b[2J", [], {}, [[]]),
)
_WORD = re.compile(rb"-?\d[\d.]*(?:[eE][-+]?\d+)?|\w+")
_JSON_IN_XML = re.compile(rb'value="(\{[^"]*\})"')
# What pickles may ask for: code, memory, and what is no array.
_INSTRUCTIONS = (
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"\x8c\x02os\x8c\x06system\x93", b"c\n\n", b"cnumpy\ndtype\n",
    b"c_codecs\nencode\n", b"ccopy_reg\n_reconstructor\n", b"coptions\nOptionsParser\n", b"\x82\x01", b"P1\n", b"Q",
    b"R", b"b", b"i", b"o", b"\x81", b"(", b"t", b"l", b"d", b"]", b"}", b")", b"a", b"e", b"s", b"u", b"0", b"1", b"2",
    b".", b"\x85", b"\x86", b"\x87", b"N", b"\x88", b"\x89", b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\x7f", b"I01\n",
    b"L5L\n", b"F1.5\n", b"G\x7f\xf0\0\0\0\0\0\0", b"\x8a\x01\xff", b"\x8b\x01\0\0\0\x05", b"S'a\\x00'\n", b"Vtext\n",
    b"U\x01a", b"T\xff\xff\xff\x7f", b"X\xff\xff\xff\xff", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"B\x01\0\0\0a",
    b"\x8e\x05\0\0\0\0\0\0\0bytes", b"C\x01a", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff", b"g0\n", b"g-1\n", b"h\0",
    b"j\xff\xff\xff\xff", b"p0\n", b"p9999999999\n", b"q\0", b"r\xff\xff\xff\xff", b"\x94",
)  # fmt: skip


def mutate(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """`content` with one to four changes; `others`: contents and words of the same format, to take from."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        inside = _inside(content, rng) if rng.random() < _DEEPER else None
        if inside:
            part, rebuild = inside
            content = rebuild(mutate(part, rng, others))
        else:
            content = rng.choice(_changes(content))(content, rng, others)
        content = content[:LONGEST]
    return content


def _inside(content: bytes, rng: Random) -> Inside | None:
    for signature, find in _CONTAINERS:
        if content.startswith(signature):
            try:
                return find(content, rng)
            except Exception:  # what was changed before may be a container no more, in any way
                continue
    return None


def _in_gzip(content: bytes, _rng: Random) -> Inside:
    with gzip.open(io.BytesIO(content)) as file:
        return file.read(LONGEST), lambda part: gzip.compress(part, 1, mtime=0)


def _in_zip(content: bytes, rng: Random) -> Inside:
    """A member of an archive. Half of the time one of those that are not numbers alone, as PyTorch names them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.open(info).read(LONGEST)) for info in archive.infolist()]
    telling = [info for info, _ in members if "/data/" not in info.filename]
    chosen = rng.choice(telling if telling and rng.random() < 0.5 else [info for info, _ in members])

    def rebuild(part: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for info, held in members:
                same = zipfile.ZipInfo(info.filename)  # without the time of day
                archive.writestr(same, part if info is chosen else held, info.compress_type)
        return file.getvalue()

    return next(held for info, held in members if info is chosen), rebuild


def _in_json(content: bytes, rng: Random) -> Inside:
    """A value of a text of JSON. Texts in it that are JSON again are taken apart in their turn."""
    whole = json.loads(content)
    holder, key = {"whole": whole}, "whole"
    place: Any = holder
    while isinstance(place[key], dict | list) and place[key] and (place is holder or rng.random() < 0.85):
        place = place[key]
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
    value = place[key]

    def rebuild(part: bytes) -> bytes:
        text = part.decode("latin-1")
        if rng.random() < 0.4:
            place[key] = json_changed(value, rng)
        else:
            place[key] = text if isinstance(value, str) and rng.random() < 0.8 else rng.choice(_VALUES)
        if rng.random() < 0.1:
            place.pop(key)
        return json.dumps(holder.get("whole")).encode()

    return value.encode("latin-1", "replace") if isinstance(value, str) else b"", rebuild


def _in_safetensors(content: bytes, rng: Random) -> Inside:
    size = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{" or size > len(content):
        raise ValueError
    if rng.random() < 0.4:
        return in_tensor(content, rng)
    return content[8 : 8 + size], lambda part: len(part).to_bytes(8, "little") + part + content[8 + size :]


def _in_protobuf(content: bytes, rng: Random) -> Inside:
    """The value of a field of a message."""
    fields = list(read_fields(content))
    at = rng.randrange(len(fields))

    def rebuild(part: bytes) -> bytes:
        changed = [*fields]
        number = fields[at][0] if rng.random() < 0.9 else rng.randrange(1, 21)
        changed[at] = (number, part if not isinstance(fields[at][1], int) else rng.choice(_INTEGERS))
        return b"".join(map(_field, changed))

    value = fields[at][1]
    return b"" if isinstance(value, int) else bytes(value), rebuild


def _field(field: tuple[int, int | bytes | memoryview]) -> bytes:
    number, value = field
    return write_integer(number, value) if isinstance(value, int) else b"".join(write_block(number, [value]))


def _in_xml(content: bytes, _rng: Random) -> Inside:
    found = _JSON_IN_XML.search(content)
    if not found:
        raise ValueError
    start, end = found.span(1)

    def rebuild(part: bytes) -> bytes:
        return content[:start] + html.escape(part.decode("latin-1")).encode() + content[end:]

    return html.unescape(found[1].decode()).encode(), rebuild


_CONTAINERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes, Random], Inside]], ...] = (
    (b"\x1f\x8b", _in_gzip),
    (b"PK\x03\x04", _in_zip),
    ((b"{", b"["), _in_json),
    (b"<?xml", _in_xml),
    (b"", _in_safetensors),
    (b"", _in_protobuf),  # of which any byte may be the first
)


_Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _changes(content: bytes) -> Sequence[_Change]:
    if content.startswith((b"\x80", b"(", b"}")):
        return (*_OF_UNITS, *_OF_BYTES, value_changed, value_changed, value_changed)
    if not _is_text(content):
        return _OF_BYTES
    of_text = (*_OF_UNITS, _odd_number, _other_word, _flipped)
    return (*of_text, *[setting_changed] * len(of_text)) if has_settings(content) else of_text


def _is_text(content: bytes) -> bool:
    return b"\0" not in content[:1000] and content[:1000].isascii()


def _units(content: bytes) -> list[bytes]:
    """What a content is a row of: the instructions of a pickle, the fields of a message, lines."""
    try:
        starts = [position for _, _, position in pickletools.genops(content) if position is not None]
        return [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]
    except Exception:  # it is none, or is one no more
        pass
    if content.startswith(_PROTOBUF) and not _is_text(content):
        try:
            return list(map(_field, read_fields(content)))
        except InputError:
            pass
    return content.splitlines(keepends=True)


def _unit_changed(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    units = _units(content) or [b""]
    at, other = rng.randrange(len(units)), rng.randrange(len(units))
    match rng.randrange(5):
        case 0:
            units[at : at + rng.choice((1, 1, 1, 5))] = []
        case 1:
            units.insert(other, units[at])
        case 2:
            units[at], units[other] = units[other], units[at]
        case 3:
            units.insert(at, b"".join(_units(rng.choice(others))[other : other + 3]))
        case 4:
            units[at] = units[at][:LONGEST] * rng.choice((2, 10, 300))
    return b"".join(units)


def _instruction(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A word of the format, or an instruction, between or in the place of units."""
    units = _units(content) or [b""]
    at = rng.randrange(len(units))
    is_text = _is_text(content)
    units[at : at + rng.randrange(2)] = [rng.choice(others) + b"\n" if is_text else rng.choice(_INSTRUCTIONS)]
    return b"".join(units)


def _odd_number(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    return _with_word(content, rng, rng.choice(_NUMBERS))


def _other_word(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    words = _WORD.findall(content if rng.random() < 0.7 else rng.choice(others)) or [b""]
    return _with_word(content, rng, rng.choice(words))


def _with_word(content: bytes, rng: Random, word: bytes) -> bytes:
    places = list(_WORD.finditer(content))
    if not places:
        return word
    start, end = rng.choice(places).span()
    return content[:start] + word + content[end:]


def _cut(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _flipped(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 2, 8))):
        changed[_place(changed, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwritten(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """An integer on the edge of something, of 1 to 8 bytes in either order."""
    layout = rng.choice("<>") + rng.choice("BHIQ")
    number = rng.choice(_INTEGERS) & (1 << 8 * struct.calcsize(layout)) - 1
    at = _place(content, rng)
    return content[:at] + struct.pack(layout, number) + content[at + struct.calcsize(layout) :]


def _block_changed(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A block taken out, written again, put elsewhere, or of another content in its place."""
    at, to, size = _place(content, rng), _place(content, rng), rng.choice((1, 2, 4, 16, 256, 4096))
    block = content[at : at + size]
    other = rng.choice(others)
    start = _place(other, rng)
    return rng.choice(
        (
            content[:at] + content[at + size :],
            content[:to] + block * rng.choice((1, 50)) + content[to:],
            content[:to] + block + content[to + size :],
            content[:at] + other[start : start + size] + content[at + size :],
            content[:at] + other[start:],
            content[:at] + rng.randbytes(size) + content[at:],
        )
    )


def _place(content: bytes | bytearray, rng: Random) -> int:
    """Near either end more often than where numbers lie: there headers and directories are."""
    size = max(len(content), 1)
    return rng.choice((rng.randrange(size), rng.randrange(min(size, 200)), size - 1 - rng.randrange(min(size, 200))))


_OF_UNITS: tuple[_Change, ...] = (_unit_changed, _unit_changed, _instruction)
_OF_BYTES: tuple[_Change, ...] = (_cut, _flipped, _overwritten, _block_changed)
