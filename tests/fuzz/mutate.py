"""Changes to the content of files: of bytes, words, lines and instructions, at the surface and inside what is packed.

A change inside leaves the lengths and sums around it right: it gets past them, to what they guard.
"""

import pickletools
import re
import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.containers import INTEGERS, LONGEST, field_bytes, part_inside
from tests.fuzz.structured import has_settings, setting_changed, value_changed
from tests.fuzz.text_messages import has_blocks, is_word, with_field

from alexnet.errors import InputError
from alexnet.interop.protobuf import read_fields

_DEEPER = 0.8  # how often a change goes inside where it can
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")  # characters that no text has, and almost every message

_NUMBERS = b"0 -1 1 2 3 0.5 -0.5 1e-400 1e400 nan inf 2147483648 11111111111111111111".split()
_WORD = re.compile(rb"-?\d[\d.]*(?:[eE][-+]?\d+)?|\w+")
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
        inside = part_inside(content, rng) if rng.random() < _DEEPER else None
        if inside:
            part, rebuild = inside
            content = rebuild(mutate(part, rng, others))
        else:
            content = rng.choice(_changes(content))(content, rng, others)
        content = content[:LONGEST]
    return content


_Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _changes(content: bytes) -> Sequence[_Change]:
    if content.startswith((b"\x80", b"(", b"}")):
        return (*_OF_UNITS, *_OF_BYTES, *(value_changed,) * 3)
    if _fields(content):
        return (*_OF_FIELDS, *_OF_BYTES)
    if not _is_text(content):
        return _OF_BYTES
    of_forms = [change for has_form, change in _OF_FORMS if has_form(content)]
    return (*_OF_TEXT, *of_forms * len(_OF_TEXT))


def _is_text(content: bytes) -> bool:
    return b"\0" not in content[:1000] and content[:1000].isascii()


def _units(content: bytes) -> list[bytes]:
    """What a content is a row of: the instructions of a pickle, the fields of a message, lines."""
    try:
        starts = [position for _, _, position in pickletools.genops(content) if position is not None]
        return [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]
    except Exception:  # it is none, or is one no more
        pass
    return list(map(field_bytes, _fields(content))) or content.splitlines(keepends=True)


def _fields(content: bytes) -> list[tuple[int, int | memoryview]]:
    """The fields of a message; none of what is no message."""
    try:
        return list(read_fields(content)) if _CONTROL.search(content[:1000]) else []
    except InputError:
        return []


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


def _field_renumbered(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """A field of a message under the number of another: something else, with the same value."""
    fields = list[tuple[int, int | bytes | memoryview]](_fields(content))
    at = rng.randrange(len(fields))
    fields[at] = (rng.choice((rng.randrange(1, 21), rng.choice(fields)[0], 100)), fields[at][1])
    return b"".join(map(field_bytes, fields))


def _field_set(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Mostly of a block that is there."""
    words = [word for word in others if is_word(word)]
    fitting = [word for word in words if word.partition(b"{")[0] + b"{" in content]
    words = fitting if fitting and rng.random() < 0.8 else words
    return with_field(content, rng, rng.choice(words)) if words else _other_word(content, rng, others)


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
    number = rng.choice(INTEGERS) & (1 << 8 * struct.calcsize(layout)) - 1
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
_OF_TEXT: tuple[_Change, ...] = (*_OF_UNITS, _odd_number, _other_word, _flipped)
_OF_FIELDS: tuple[_Change, ...] = (_unit_changed, _unit_changed, _field_renumbered, _field_renumbered)
_OF_BYTES: tuple[_Change, ...] = (_cut, _flipped, _overwritten, _block_changed)
# Changes that know what a text has, and how that is told: half of all changes to such.
_OF_FORMS: tuple[tuple[Callable[[bytes], bool], _Change], ...] = (
    (has_blocks, _field_set),
    (has_settings, setting_changed),
)
