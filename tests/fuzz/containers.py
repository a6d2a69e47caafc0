"""What is packed in files, taken out to be changed and packed again with right lengths and sums."""

import gzip
import html
import io
import json
import re
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.structured import json_changed

from alexnet.interop.protobuf import read_fields, write_block, write_integer
from alexnet.weights.packed import CODES, GAPS, STEPS, compress, decompress

LONGEST = 1 << 17  # bytes of a changed file

_Inside = tuple[bytes, Callable[[bytes], bytes]]  # a part of a content, and what puts another in its place

INTEGERS = (
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
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 3, 0.5, 1e300, 1 << 31, 1 << 64, 10**30),
    *("", "a\nb", "\x1b[2J", [], {}, [[]]),
)
_JSON_IN_XML = re.compile(rb'value="(\{[^"]*\})"')


def part_inside(content: bytes, rng: Random) -> _Inside | None:
    """A part of what is packed in a content, if anything is."""
    for signature, find in _CONTAINERS:
        if content.startswith(signature):
            try:
                return find(content, rng)
            except Exception:  # what was changed before may be a container no more, in any way
                continue
    return None


def _in_gzip(content: bytes, _rng: Random) -> _Inside:
    with gzip.open(io.BytesIO(content)) as file:
        return file.read(LONGEST), lambda part: gzip.compress(part, 1, mtime=0)


def _in_zip(content: bytes, rng: Random) -> _Inside:
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


def _in_json(content: bytes, rng: Random) -> _Inside:
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


def _in_safetensors(content: bytes, rng: Random) -> _Inside:
    size = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{" or size > len(content):
        raise ValueError
    if rng.random() < 0.4:
        return _in_tensor(content, rng)
    return content[8 : 8 + size], lambda part: len(part).to_bytes(8, "little") + part + content[8 + size :]


def _in_tensor(content: bytes, rng: Random) -> _Inside:
    """The bytes of a tensor of safetensors, unpacked where they are a stream of codes; the header tells the new ones.
    Sometimes the tensor goes.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    key = rng.choice([key for key in header if key != "__metadata__"])
    parts = {
        name: content[start + about["data_offsets"][0] : start + about["data_offsets"][1]]
        for name, about in header.items()
        if name != "__metadata__"
    }
    is_bytes = header[key]["dtype"] == "U8"
    is_stream = key.endswith((CODES, GAPS, STEPS)) and rng.random() < 0.8
    is_dropped = rng.random() < 0.1

    def rebuild(part: bytes) -> bytes:
        if is_dropped:
            del parts[key], header[key]
        elif is_bytes:
            parts[key] = compress(part) if is_stream else part
            header[key]["shape"] = [len(parts[key])]
        else:  # its shape stays
            parts[key] = part[: len(parts[key])].ljust(len(parts[key]), b"\0")
        at = 0
        for name in parts:
            header[name]["data_offsets"] = [at, at := at + len(parts[name])]
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + b"".join(parts.values())

    return decompress(parts[key], LONGEST) if is_stream else parts[key], rebuild


def _in_protobuf(content: bytes, rng: Random) -> _Inside:
    """The value of a field of a message."""
    fields = list(read_fields(content))
    at = rng.randrange(len(fields))

    def rebuild(part: bytes) -> bytes:
        changed = [*fields]
        changed[at] = (fields[at][0], part if not isinstance(fields[at][1], int) else rng.choice(INTEGERS))
        return b"".join(map(field_bytes, changed))

    value = fields[at][1]
    return b"" if isinstance(value, int) else bytes(value), rebuild


def field_bytes(field: tuple[int, int | bytes | memoryview]) -> bytes:
    """A field of a message, as it was read."""
    number, value = field
    return write_integer(number, value) if isinstance(value, int) else b"".join(write_block(number, [value]))


def _in_xml(content: bytes, _rng: Random) -> _Inside:
    found = _JSON_IN_XML.search(content)
    if not found:
        raise ValueError
    start, end = found.span(1)

    def rebuild(part: bytes) -> bytes:
        return content[:start] + html.escape(part.decode("latin-1")).encode() + content[end:]

    return html.unescape(found[1].decode()).encode(), rebuild


_CONTAINERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes, Random], _Inside]], ...] = (
    (b"\x1f\x8b", _in_gzip),
    (b"PK\x03\x04", _in_zip),
    ((b"{", b"["), _in_json),
    (b"<?xml", _in_xml),
    (b"", _in_safetensors),
    (b"", _in_protobuf),  # of which any byte may be the first
)
