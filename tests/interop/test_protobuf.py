import struct
from contextlib import suppress

import numpy as np
import onnx
import pytest

from alexnet.errors import InputError
from alexnet.interop.protobuf import (
    Message,
    read_fields,
    write_block,
    write_float,
    write_floats,
    write_integer,
    write_integers,
    write_text,
)

INTEGERS = [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)]


def test_what_is_written_is_read() -> None:
    content = b"".join(
        [
            *(write_integer(1, value) for value in INTEGERS),
            write_integers(2, INTEGERS),
            write_float(3, 0.5),
            write_floats(4, [1.0, -2.0]),
            write_text(5, "größer"),
            *write_block(6, [b"ab", memoryview(b"cd")]),
            *write_block(1000, [write_integer(1, 7)]),
        ]
    )
    message = Message(content)
    assert message.integers(1) == message.integers(2) == INTEGERS
    assert message.integer(1) == INTEGERS[-1]
    assert message.floats(3) == [0.5]
    assert message.floats(4) == [1.0, -2.0]
    assert message.text(5) == "größer"
    assert bytes(message.blocks(6)[0]) == b"abcd"
    assert message.message(1000).integer(1) == 7
    assert (message.integer(9, 3), message.text(9), message.floats(9), 9 in message) == (3, "", [], False)
    assert Message(write_integers(9, [])).integer(9, 3) == 3


def test_the_standard_library_of_the_format_reads_it_too() -> None:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(
        b"".join(
            [
                write_integers(1, [2, 3]),
                write_integer(2, 1),
                write_floats(4, [0.5, 1.5]),
                write_text(8, "w"),
                write_integers(7, INTEGERS),
            ]
        )
    )
    assert (list(tensor.dims), tensor.data_type, list(tensor.float_data), tensor.name) == ([2, 3], 1, [0.5, 1.5], "w")
    assert list(tensor.int64_data) == INTEGERS
    ours = Message(tensor.SerializeToString())
    assert (ours.integers(1), ours.floats(4), ours.text(8), ours.integers(7)) == ([2, 3], [0.5, 1.5], "w", INTEGERS)


def test_fixed_width_fields_are_bytes() -> None:
    content = b"\x09" + struct.pack("<d", 0.5) + b"\x15" + struct.pack("<f", 2.0)
    assert [(number, bytes(value)) for number, value in read_fields(content)] == [  # type: ignore[arg-type]
        (1, struct.pack("<d", 0.5)),
        (2, struct.pack("<f", 2.0)),
    ]


HOSTILE = {
    "a length beyond the end": (b"\x0a\x05abc", "cut short"),
    "a length beyond all memory": (b"\x0a" + b"\xff" * 9 + b"\x01", "cut short"),
    "an endless number": (b"\x08" + b"\xff" * 20, "over 64 bits"),
    "a cut number": (b"\x08\xff", "cut short"),
    "a cut float": (b"\x0d\x00", "cut short"),
    "field number zero": (b"\x00\x00", "without a number"),
    "a group": (b"\x0b\x0c", "unknown type 3"),
    "too many fields": (b"\x08\x01" * ((1 << 12) + 1), "over 4,096 fields"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_content_is_one_line(what: str) -> None:
    content, words = HOSTILE[what]
    with pytest.raises(InputError, match=words) as caught:
        Message(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "ask", "words"),
    [
        (write_integer(1, 5), lambda message: message.text(1), "is a number"),
        (write_text(1, "abc"), lambda message: message.floats(1), "3 bytes of float32"),
        (b"\x0a\x01\xff", lambda message: message.text(1), "is not text"),
        (b"\x0a\x01\xff", lambda message: message.integers(1), "cut short"),
        (b"\x0a\x01\xff", lambda message: message.message(1), "cut short"),
    ],
)
def test_a_field_of_another_type_than_asked_for_is_one_line(content: bytes, ask, words: str) -> None:
    message = Message(content)
    with pytest.raises(InputError, match=words):
        ask(message)


def test_random_bytes_never_do_worse_than_an_error() -> None:
    rng = np.random.default_rng(0)
    for length in rng.integers(0, 60, 2000):
        content = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        with suppress(InputError):
            Message(content).texts(1)


def test_many_packed_fields_cannot_ask_for_more_memory_than_one() -> None:
    content = write_integers(2, [0] * 4096)
    assert len(Message(content).integers(2)) == 4096
    with pytest.raises(InputError, match="over 4,096 numbers in field 2"):
        Message(content * 2).integers(2)
