"""Changes that know what they change: the value of a setting, of a key in a pickle or in JSON.

Each chooses among the keys that there are, not among all places: a key that stands once is hit as often as one that
stands a hundred times.
"""

import pickletools
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_NUMBERS = b"0 -1 1 2 3 4 0.5 -0.5 1e400 nan inf 2147483648 11111111111111111111".split()
_SETTING = re.compile(rb"^([ \t]*\w+[ \t]*=)(.*)$", re.MULTILINE)
_ATTRIBUTE = re.compile(rb'( \w+=")([^"]*)(?=")')

_MEMO = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"}
# One value each, in place of another one.
_PUSHES = (
    b"N", b"\x88", b"K\0", b"K\x01", b"K\x02", b"K\x05", b"M\xff\xff", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f",
    b"\x8a\x09\0\0\0\0\0\0\0\0\x01", b"G\x7f\xf8\0\0\0\0\0\0", b"G?\xe0\0\0\0\0\0\0", b"U\x01a", b"X\0\0\0\0",
    b"X\x03\0\0\0a\nb", b"]", b"}", b")", b"K\x01\x85", b"]K\x01a", b"]U\x01aa", b"h\x01", b"h\x05",
)  # fmt: skip

_DTYPES = ("F16", "F32", "F64", "BF16", "I8", "I16", "I32", "I64", "U8", "BOOL")


def has_settings(content: bytes) -> bool:
    """Are there lines `key=value`, or attributes `key="value"`, that `setting_changed` could change?"""
    return bool(_SETTING.search(content) or _ATTRIBUTE.search(content))


def setting_changed(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Of one key, in one place: another value, another number of items, or nothing at all."""
    places: dict[bytes, list[re.Match[bytes]]] = {}
    for found in (*_SETTING.finditer(content), *_ATTRIBUTE.finditer(content)):
        places.setdefault(found[1].strip().lower(), []).append(found)
    if not places:
        return content
    chosen = rng.choice(places[rng.choice(sorted(places))])
    others_values = [found[2] for found in places[rng.choice(sorted(places))]]
    value = _other_value(
        chosen[2], rng, [*others_values, *(other[:100] for other in others if b"\n" not in other[:100])]
    )
    if rng.random() < 0.1:
        return content[: chosen.start()] + content[chosen.end() :]
    return content[: chosen.start(2)] + value + content[chosen.end(2) :]


def _other_value(value: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    items = value.split(b",")
    match rng.randrange(6):
        case 0:
            return rng.choice(_NUMBERS)
        case 1:
            return rng.choice(others) if others else b""
        case 2:
            return b",".join(items[:-1])
        case 3:
            return b",".join([*items, rng.choice(items)])
        case 4:
            return b",".join(rng.choice((item, _near(item, rng))) for item in items)
        case _:
            items[rng.randrange(len(items))] = rng.choice([*_NUMBERS, *others])
            return b",".join(items)


def _near(item: bytes, rng: Random) -> bytes:
    try:
        number = int(item)
    except ValueError:
        return item[::-1]
    return str(rng.choice((number + 1, number - 1, -number, 2 * number, number // 2))).encode()


def value_changed(content: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Of a key in a pickle another value, or of a value another key."""
    try:
        found = [(code.name, argument, start) for code, argument, start in pickletools.genops(content)]
    except Exception:  # it is no whole pickle any more
        return content
    places: dict[str, list[int]] = {}
    for place, (name, argument, _) in enumerate(found):
        if name in _TEXTS and len(argument) < 30:
            places.setdefault(argument, []).append(place)
    if not places:
        return content
    place = rng.choice(places[rng.choice(sorted(places))])
    if rng.random() < 0.8:
        place += 1
        while place < len(found) - 1 and found[place][0] in _MEMO:
            place += 1
    if place >= len(found) - 1:
        return content
    return content[: found[place][2] or 0] + rng.choice(_PUSHES) + content[found[place + 1][2] or 0 :]


def json_changed(value: Any, rng: Random) -> Any:
    """A value of JSON that is much like another."""
    match value:
        case bool():
            return not value
        case int():
            return rng.choice((value + 1, value - 1, -value, 2 * value))
        case float():
            return rng.choice((-value, 2 * value, 1e-300 * value))
        case str():
            return rng.choice((value + "x", value[:-1], value.upper(), rng.choice(_DTYPES)))
        case list() if value:
            at = rng.randrange(len(value))
            return rng.choice((value[:at] + value[at + 1 :], [*value, value[at]], value[::-1]))
        case dict() if value:
            key = rng.choice(list(value))
            return rng.choice(({k: v for k, v in value.items() if k != key}, {**value, "x": value[key]}))
    return value
