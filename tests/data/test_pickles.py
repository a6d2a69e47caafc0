"""What batches hold is read from pickles of every kind; anything else is one line, without code run or memory taken."""

import os
import pickle
import random
import time
import tracemalloc

import numpy as np
import pytest

from alexnet.data import pickles
from alexnet.data.pickles import Span, load_pickle, parse_pickle
from alexnet.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
VALUES = {
    "text": "café",
    "bytes": b"\xff\0",
    "none": b"",
    "list": [1, -2, 300, 70_000, 2**40, -(2**100), True, False, None, 0.5],
    "nested": [[], {}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1: "a", b"b": 2.5}],
    "long list": list(range(2500)),
    "long dict": {str(number): number for number in range(1500)},
}
ARRAYS = {
    "uint8": PIXELS,
    "columns": np.asfortranarray(PIXELS),
    "slices": PIXELS[::2, 5:50:3],
    "float32": np.float32([[1.5, -2.0]]),
    "big endian": np.arange(5, dtype=">i4"),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3072), np.uint8),
    "zero dims": np.array(7),
}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values_of_every_protocol_are_read_as_python_reads_them(protocol):
    content = pickle.dumps(VALUES, protocol)
    assert parse_pickle(content) == pickle.loads(content) == VALUES


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_every_protocol_are_read_as_python_reads_them(protocol, name):
    array = ARRAYS[name]
    same, again, number = parse_pickle(pickle.dumps([array, array, np.float64(0.25)], protocol))
    np.testing.assert_array_equal(same, array)
    assert same.dtype == array.dtype
    assert again is same
    assert number == 0.25


# As Python 2.7.18 with NumPy 1.16.6 writes {'data': array([[0, 10, 255]], uint8), 'labels': [6, 9], 'n': 5L}.
PYTHON_2 = {
    0: (
        b"(dp1\nS'labels'\np2\n(lp3\nI6\naI9\nasS'data'\np4\ncnumpy.core.multiarray\n_reconstruct\np5\n(cnumpy\nndar"
        b"ray\np6\n(I0\ntS'b'\ntRp7\n(I1\n(I1\nI3\ntcnumpy\ndtype\np8\n(S'u1'\nI0\nI1\ntRp9\n(I3\nS'|'\nNNNI-1\nI-1"
        b"\nI0\ntbI00\nS'\\x00\\n\\xff'\ntbsS'n'\nL5L\ns."
    ),
    1: (
        b"}q\x01(U\x06labelsq\x02]q\x03(K\x06K\teU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05(cnumpy\nn"
        b"darray\nq\x06(K\x00tU\x01btRq\x07(K\x01(K\x01K\x03tcnumpy\ndtype\nq\x08(U\x02u1K\x00K\x01tRq\t(K\x03U\x01|"
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\nU\x03\x00\n\xfftbU\x01nL5L\nu."
    ),
    2: (
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\teU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cn"
        b"umpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x01K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87"
        b"Rq\t(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x03\x00\n\xfftbU\x01n\x8a\x01\x05u."
    ),
}


@pytest.mark.parametrize("protocol", PYTHON_2)
def test_pickles_of_python_2_are_read_their_strings_as_latin_1(protocol):
    loaded = parse_pickle(PYTHON_2[protocol])
    np.testing.assert_array_equal(loaded.pop("data"), np.array([[0, 10, 255]], np.uint8))
    assert loaded == {"labels": [6, 9], "n": 5}
    assert parse_pickle(b"U\x02\xe9\xff.") == "éÿ"


def test_long_strings_can_be_left_in_the_file(tmp_path):
    path, image = tmp_path / "p", bytes(range(256)) * 4
    for protocol in (3, 4, 5):
        path.write_bytes(pickle.dumps({"data": [image, b"short"], "array": PIXELS}, protocol))
        loaded = load_pickle(path, spans=True)
        span, short = loaded["data"]
        assert isinstance(span, Span)
        assert path.read_bytes()[span.start : span.start + span.size] == image
        assert short == b"short"
        np.testing.assert_array_equal(loaded["array"], PIXELS)


class Calls:
    """Pickled as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_calls_are_refused_and_not_made(tmp_path, protocol):
    trap = tmp_path / "executed"
    for hostile in (
        Calls(os.mkdir, str(trap)),
        Calls(eval, f"__import__('os').mkdir({str(trap)!r})"),
        Calls(getattr, "text", "join"),
        Calls(np.load, str(trap)),
        Calls(np.ndarray, (10**12,), "u1"),
        np.array([{}, []], dtype=object),
        np.zeros(2, dtype=[("a", "u1"), ("b", "O")]),
        np.array(["text"]),
        {(1, 2): 3},
        {1, 2},
        Calls(bytearray, 10**12),
        Calls(bytes, 10**12),
    ):
        with pytest.raises(DataError) as caught:
            parse_pickle(pickle.dumps(hostile, protocol))
        assert "\n" not in str(caught.value)
    assert not trap.exists()


SHAPE = b"K\x04M\x00\x0c\x86"  # (4, 3072) in protocol 2


def with_shape(shape: bytes) -> bytes:
    content = pickle.dumps(PIXELS, 2)
    assert content.count(SHAPE) == 1
    return content.replace(SHAPE, shape)


MAKE_DTYPE = b"cnumpy\ndtype\n(U\x02u1K\0K\1tR"
DTYPE = MAKE_DTYPE + b"(K\x03U\x01|NNNtb"
# A list that holds another twice, which holds another twice ...: 24 times, so that its `repr` has some 50 MB.
DOUBLING = b"]q\0" + b"0](h\0h\0eq\0" * 24
PRIME = 2**61 - 1  # Python's hash of a number is what is left of it by this


def of_arrays(depth: int) -> bytes:
    """An array of the bytes of an array of the bytes of ..."""
    level = b"0h\0(h\1h\2K\1\x85U\1CtRq\1"
    return b"cnumpy.core.numeric\n_frombuffer\nq\0" + DTYPE + b"q\2U\1xq\1" + level * depth + b"."


# Each is small; each kills, takes gigabytes or hangs where it is believed.
BOMBS = {
    "memo index": b"Nr\xff\xff\xff\x7f0N0g.",
    "tuple as a key": b"}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
    "tuple as the key of a dict made at once": b"(" + b")" + b"\x85" * 1000 + b"K\x01d.",
    "open marks": b"(" * 100_000 + b".",
    "giant string": b"\x8e" + (2**62).to_bytes(8, "little") + b"abc.",
    "giant text": b"\x8d" + (2**63 - 1).to_bytes(8, "little") + b"abc.",
    "giant bytearray": b"\x96" + (2**40).to_bytes(8, "little") + b"abc.",
    "string of negative size": b"T\xff\xff\xff\xffabc.",
    "number of negative size": b"\x8b\xff\xff\xff\xffabc.",
    "long number": b"I" + b"9" * 400_000 + b"\n.",
    "giant shape": with_shape(b"\x8a\x05\0\0\0\0\x7fK\x01\x86"),
    "giant shape without images": with_shape(b"\x8a\x08" + b"\x7f" * 8 + b"K\0\x86"),
    "text as a shape": with_shape(b"U\x01xJ\0\xca\x9a\x3b\x86"),
    "negative shape": with_shape(b"J\xff\xff\xff\xffJ\0\xd0\xff\xff\x86"),
    "many dimensions": with_shape(b"(" + b"K\x01" * 10_000 + b"t"),
    "filled twice": MAKE_DTYPE + b"(K\x03U\x01|NNNtb(K\x03U\x01|NNNtb.",
    "filled with itself": MAKE_DTYPE + b"q\0h\0b.",
    "codec": b"c_codecs\nencode\n(Vtext\nVzip\ntR.",
    "structured dtype": MAKE_DTYPE + b"(K\x03U\x01|NU\x01aNtb.",
    "dtype of objects": b"cnumpy\ndtype\n(U\x01OK\0K\1tR.",
    "doubling name of a module": DOUBLING + b"U\1a\x93.",
    "doubling name": b"U\1a" + DOUBLING + b"\x93.",
    "doubling dtype": b"cnumpy\ndtype\n(" + DOUBLING + b"K\0K\1tR.",
    "doubling order of bytes": MAKE_DTYPE + b"(K\3" + DOUBLING + b"NNNtb.",
    "doubling codec": b"c_codecs\nencode\n(Vtext\n" + DOUBLING + b"tR.",
    "deep dtype": b"cnumpy\ndtype\n()" + b"\x85" * 100_000 + b"K\0K\1tR.",
    "one text encoded again and again": (
        b"c_codecs\nencode\nq\0(X\0\0\1\0" + b"a" * 65_536 + b"Vlatin1\ntq\1" + b"h\0h\1R" * 1000 + b"."
    ),
    "one text made an array again and again": (
        b"cnumpy.core.numeric\n_frombuffer\nq\0(X\0\0\1\0" + b"a" * 65_536 + DTYPE + b"J\0\0\1\0\x85U\1Ctq\1"
        b"" + b"h\0h\1R" * 1000 + b"."
    ),
    "keys of one hash": b"}(" + b"".join(pickle.dumps(PRIME * n, 2)[2:-1] + b"N" for n in range(20_000)) + b"u.",
    "places in the memo of one hash": b"N" + b"".join(b"p%d\n" % (PRIME * n) for n in range(1, 20_000)) + b".",
    "long keys": b"}(" + (b"X\0\0\1\0" + b"a" * 65_536 + b"N") * 2 + b"u.",
    "many flags of a dtype": b"cnumpy\ndtype\nq\0(U\2u1" + b"N" * 50_000 + b"tq\1" + b"h\0h\1R" * 1000 + b".",
    "arrays of arrays": of_arrays(100_000),
    "nothing on the stack": b".",
    "no end": b"N",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_one_line_and_takes_little_memory_and_time(name):
    """A crash would end all tests here. Traced memory includes that of NumPy."""
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            parse_pickle(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 100 * len(BOMBS[name]) + (1 << 18)
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 4
    assert "\n" not in str(caught.value)
    assert "unexpected" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_endless_instructions_end(monkeypatch):
    monkeypatch.setattr(pickles, "MAX_INSTRUCTIONS", 1000)
    assert parse_pickle(b"N0" * 499 + b"N.") is None
    with pytest.raises(DataError, match="more than 1,000 instructions"):
        parse_pickle(b"N0" * 500 + b"N.")


def test_deep_nesting_alone_does_no_harm():
    """What holds itself is a value like others; nobody walks it."""
    depth, value = 0, parse_pickle(b"]" * 100_000 + b"a" * 99_999 + b".")
    while value:
        depth, [value] = depth + 1, value
    assert depth == 99_999
    [itself] = parse_pickle(b"]q\x00h\x00a.")
    assert itself[0] is itself


def test_arrays_are_views_of_the_file_and_batches_cost_no_second_copy(tmp_path):
    pixels = np.zeros((1000, 3072), np.uint8)
    (tmp_path / "p").write_bytes(pickle.dumps({"data": pixels}, 4))
    tracemalloc.start()
    load_pickle(tmp_path / "p", spans=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pixels.nbytes / 10


BATCHES = [
    pickle.dumps({"data": PIXELS[:1, :30], "labels": [3], "batch_label": "one", "names": (b"a.png", "é")}, protocol)
    for protocol in PROTOCOLS
] + list(PYTHON_2.values())


@pytest.mark.parametrize("content", BATCHES, ids=lambda content: f"{len(content)} bytes")
def test_a_pickle_cut_at_any_byte_is_no_whole_pickle(content):
    for size in range(len(content)):
        with pytest.raises(DataError) as caught:
            parse_pickle(content[:size])
        assert "\n" not in str(caught.value)


def outcome(content: bytes) -> str:
    try:
        parse_pickle(content)
    except DataError as error:
        return "refused" if "\n" not in str(error) else "refused in two lines"
    return "read"


def test_changed_pickles_are_values_or_one_line():
    """Six thousand, each with a few bytes changed, taken out, doubled or exchanged with another pickle's."""
    rng = random.Random(2012)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(6000):
        content = bytearray(rng.choice(BATCHES))
        for _ in range(rng.randint(1, 4)):
            start = rng.randrange(len(content))
            end = min(len(content), start + rng.choice((0, 1, 1, 2, 8)))
            other = rng.choice(BATCHES)
            piece = rng.randrange(len(other))
            new = rng.choice((rng.randbytes(end - start), b"", bytes(content[start:end]) * 2, other[piece : piece + 8]))
            content[start:end] = new
        outcomes[outcome(bytes(content))] += 1
    assert min(outcomes.values()) > 300, outcomes  # the changes are neither harmless nor all noticed at once


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "data_batch_1"
    with pytest.raises(DataError, match=r"data_batch_1: cannot be read \(No such file"):
        load_pickle(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"data_batch_1: empty file"):
        load_pickle(path)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"data_batch_1: not a pickle of plain data \(instruction b'<'\)"):
        load_pickle(path)
