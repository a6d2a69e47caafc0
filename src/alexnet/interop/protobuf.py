"""The wire format of protocol buffers, both ways, as far as files of nets use it. Standard library only.

A message is a row of fields, each a number (what it means is the schema's affair) and an integer or bytes; bytes may be
a text, packed numbers or a message again. Reading goes one message deep at a time, copies nothing, and believes no
length.

Source: protobuf.dev/programming-guides/encoding.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator

from alexnet.errors import InputError

Buffer = bytes | memoryview

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes: 64 bits, seven in each
_MOST_FIELDS = 1 << 12  # ours: more than any net has rows, tensors or sides; reading that many takes milliseconds


class Message:
    """A message that was read: its fields by number, in the order of the file.

    The last of several wins where one is meant, as the format wants it.

    Raises:
        InputError: it ends too soon, or holds what no message holds; or a field is of another type than asked for.
    """

    def __init__(self, content: Buffer) -> None:
        self._fields: defaultdict[int, list[int | memoryview]] = defaultdict(list)
        for count, (number, value) in enumerate(read_fields(content)):
            if count == _MOST_FIELDS:
                raise InputError(f"damaged (over {_MOST_FIELDS:,} fields in one message)")
            self._fields[number].append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def integer(self, number: int, default: int = 0) -> int:
        """A signed integer."""
        return (self.integers(number) or [default])[-1]

    def integers(self, number: int) -> list[int]:
        """Signed integers, packed or one by one."""
        found: list[int] = []
        for value in self._fields.get(number, ()):
            found += [value] if isinstance(value, int) else _unpack_varints(value)
            if len(found) > _MOST_FIELDS:
                raise InputError(f"damaged (over {_MOST_FIELDS:,} numbers in field {number})")
        return [value - (1 << 64) if value >> 63 else value for value in found]

    def floats(self, number: int) -> list[float]:
        """float32 numbers, packed or one by one."""
        found: list[float] = []
        for value in self.blocks(number):
            if len(value) % 4:
                raise InputError(f"damaged (field {number} holds {len(value)} bytes of float32)")
            found += struct.unpack(f"<{len(value) // 4}f", value)
        return found

    def text(self, number: int) -> str:
        """A text, empty where there is none."""
        return (self.texts(number) or [""])[-1]

    def texts(self, number: int) -> list[str]:
        """Texts in UTF-8."""
        try:
            return [bytes(value).decode() for value in self.blocks(number)]
        except UnicodeDecodeError:
            raise InputError(f"damaged (field {number} is not text)") from None

    def message(self, number: int) -> "Message":
        """A message in this one, empty where there is none."""
        return Message((self.blocks(number) or [memoryview(b"")])[-1])

    def messages(self, number: int) -> "Iterator[Message]":
        """Messages in this one, each read when it is its turn."""
        return map(Message, self.blocks(number))

    def blocks(self, number: int) -> list[memoryview]:
        """The bytes themselves, where they lie in the file."""
        found: list[memoryview] = []
        for value in self._fields.get(number, ()):
            if isinstance(value, int):
                raise InputError(f"damaged (field {number} is a number)")
            found.append(value)
        return found


def read_fields(content: Buffer) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of every field of a message: an integer without sign, or bytes (floats are four or eight).

    Raises:
        InputError: the content ends within a field, or is no message.
    """
    content, position = memoryview(content), 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise InputError("damaged (a field without a number)")
        if kind == _VARINT:
            value, position = _read_varint(content, position)
            yield number, value
            continue
        if kind == _LENGTH:
            length, position = _read_varint(content, position)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise InputError(f"damaged (field {number} is of unknown type {kind})")
        if length > len(content) - position:
            raise InputError(f"cut short (field {number} has {length:,} bytes, {len(content) - position:,} are there)")
        yield number, content[position : position + length]
        position += length


def write_integer(number: int, value: int) -> bytes:
    """A field that is an integer, negative ones as 64 bits."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def write_float(number: int, value: float) -> bytes:
    """A field that is one float32."""
    return _varint(number << 3 | _FOUR_BYTES) + struct.pack("<f", value)


def write_integers(number: int, values: Iterable[int]) -> bytes:
    """A field of packed integers."""
    return write_header(number, len(packed := b"".join(map(_varint, values)))) + packed


def write_floats(number: int, values: Iterable[float]) -> bytes:
    """A field of packed float32 numbers."""
    return write_header(number, len(packed := b"".join(struct.pack("<f", value) for value in values))) + packed


def write_text(number: int, text: str) -> bytes:
    """A field that is a text."""
    return write_header(number, len(encoded := text.encode())) + encoded


def write_block(number: int, parts: Iterable[Buffer]) -> list[Buffer]:
    """A field of bytes, such as a message: its header and then the parts themselves, not copied."""
    parts = list(parts)
    return [write_header(number, sum(map(len, parts))), *parts]


def write_header(number: int, length: int) -> bytes:
    """What stands before a field of that many bytes."""
    return _varint(number << 3 | _LENGTH) + _varint(length)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(content: memoryview, position: int) -> tuple[int, int]:
    """(value, 0 to 2^64 - 1, and the position after it)."""
    value = 0
    for index, byte in enumerate(content[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & ((1 << 64) - 1), position + index + 1
    raise InputError(
        "cut short (within a number)"
        if len(content) - position < _LONGEST_VARINT
        else "damaged (a number of over 64 bits)"
    )


def _unpack_varints(packed: memoryview) -> list[int]:
    found: list[int] = []
    position = 0
    while position < len(packed):
        if len(found) == _MOST_FIELDS:
            raise InputError(f"damaged (over {_MOST_FIELDS:,} numbers in one field)")
        value, position = _read_varint(packed, position)
        found.append(value)
    return found
