import tracemalloc
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.caffe.model import read_caffemodel
from alexnet.interop.caffe.model_writer import TrainedLayer, write_caffemodel
from alexnet.interop.protobuf import write_block, write_float, write_integer, write_integers, write_text

RNG = np.random.default_rng(0)
TENSORS = {
    "conv1.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
    "conv1.bias": RNG.normal(size=4).astype(np.float32),
    "fc8.weight": RNG.normal(size=(5, 16)).astype(np.float32),
    "fc8.bias": RNG.normal(size=5).astype(np.float32),
}
LAYERS = ("conv1", "fc8")
OLD_SHAPES = {
    "conv1.weight": (4, 3, 2, 2),
    "conv1.bias": (1, 1, 1, 4),
    "fc8.weight": (1, 1, 5, 16),
    "fc8.bias": (1, 1, 1, 5),
}


def block(number: int, *parts: bytes) -> bytes:
    return b"".join(map(bytes, write_block(number, parts)))


def blob(array: np.ndarray, sides: Sequence[int], old: bool) -> bytes:
    shape = (
        b"".join(write_integer(number, side) for number, side in enumerate(sides, start=1))
        if old
        else block(7, write_integers(1, sides))
    )
    return shape + block(5, array.astype("<f4").tobytes()) + block(6, np.zeros(0).tobytes())


def present_net(name: str = "AlexNet") -> bytes:
    layers = [
        block(
            100,
            write_text(1, layer),
            write_text(2, "X"),
            *(block(7, blob(TENSORS[key], TENSORS[key].shape, False)) for key in keys_of(layer)),
        )
        for layer in LAYERS
    ]
    return write_text(1, name) + block(100, write_text(1, "data"), write_text(2, "Data")) + b"".join(layers)


def v1_net(name: str = "AlexNet") -> bytes:
    layers = [
        block(
            2,
            write_text(2, "below"),
            write_text(4, layer),
            write_integer(5, 4),
            *(block(6, blob(TENSORS[key], OLD_SHAPES[key], True)) for key in keys_of(layer)),
        )
        for layer in LAYERS
    ]
    return write_text(1, name) + block(2, write_text(4, "data"), write_integer(5, 5)) + b"".join(layers)


def types_of(net: str, kind: str) -> bytes:
    """A net of these layers without weights: p pools, n norms, - anything else."""
    present, v1 = {"p": "Pooling", "n": "LRN", "-": "ReLU"}, {"p": 17, "n": 15, "-": 18}
    if kind == "present":
        return b"".join(block(100, write_text(1, "x"), write_text(2, present[what])) for what in net)
    return b"".join(block(2, write_text(4, "x"), write_integer(5, v1[what])) for what in net)


def keys_of(layer: str) -> list[str]:
    return [f"{layer}.weight", f"{layer}.bias"]


@pytest.mark.parametrize("write", [present_net, v1_net])
def test_both_kinds_of_layers_give_the_same_arrays(write) -> None:
    content = write("CaffeNet")
    found = read_caffemodel(content)
    assert found.name == "CaffeNet"
    assert found.tensors.keys() == TENSORS.keys()
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(found.tensors[key], array)
        assert np.shares_memory(found.tensors[key], np.frombuffer(content, np.uint8))


@pytest.mark.parametrize(("write", "kind"), [(present_net, "present"), (v1_net, "v1")])
def test_norms_and_pools_are_told_in_their_order(write, kind: str) -> None:
    assert read_caffemodel(write()).order == ()
    assert read_caffemodel(write() + types_of("-pn-np", kind)).order == ("Pooling", "LRN", "LRN", "Pooling")


def test_numbers_may_stand_one_by_one() -> None:
    bias = b"".join(write_float(5, value) for value in (0.5, -1.5))
    content = block(100, write_text(1, "a"), block(7, block(7, write_integers(1, [1, 2])), bias))
    np.testing.assert_array_equal(read_caffemodel(content).tensors["a.weight"], [[0.5, -1.5]])


def layer(*parts: bytes) -> bytes:
    return block(100, write_text(1, "a"), *parts)


SHAPE = block(7, write_integers(1, [2]))
REFUSED = {
    "nothing": (b"", "no layer in it has weights"),
    "no weights": (write_text(1, "AlexNet") + layer(), "no layer in it has weights"),
    "before V1": (block(2, block(1, write_text(1, "a"))), "upgrade_net_proto_binary"),
    "of float64": (layer(block(7, SHAPE, block(8, bytes(16)))), "a.weight is of float64"),
    "fewer numbers than its shape": (
        layer(block(7, SHAPE, block(5, bytes(4)))),
        r"a.weight of shape \(2,\) has 4 bytes",
    ),
    "a shape beyond memory": (layer(block(7, block(7, write_integers(1, [1 << 60] * 30)))), "0 bytes"),
    "a negative shape": (layer(block(7, block(7, write_integers(1, [-2, -1])), block(5, bytes(8)))), "has no shape"),
    "a long name": (
        block(100, write_text(1, "a" * 257), block(7, SHAPE, block(5, bytes(8)))),
        "name of over 256 bytes",
    ),
    "a long type": (layer(write_text(2, "a" * 257), block(7, SHAPE, block(5, bytes(8)))), "name of over 256 bytes"),
    "a long name of the net": (
        write_text(1, "a" * 257) + layer(block(7, SHAPE, block(5, bytes(8)))),
        "name of over 256 bytes",
    ),
    "many blobs": (layer(*[block(7, SHAPE, block(5, bytes(8)))] * 9), "a has 9 blobs"),
    "too many sides": (layer(block(7, block(7, write_integers(1, [1] * 33)), block(5, bytes(4)))), "has no shape"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_is_refused_in_one_line(what: str) -> None:
    content, words = REFUSED[what]
    with pytest.raises(InputError, match=words) as caught:
        read_caffemodel(content)
    assert "\n" not in str(caught.value)


def peak_bytes(content: bytes) -> int:
    """The most memory that Python holds while it reads `content`."""
    tracemalloc.start()
    try:
        with suppress(InputError):
            read_caffemodel(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_hostile_files_get_little_memory() -> None:
    """Each asked for hundreds of times its size: a copy of the name for each blob, the fields of all blobs at once."""
    number = block(7, block(7, write_integers(1, [1])), block(5, bytes(4)))
    name = block(100, write_text(1, "a" * 50_000), *[number] * 1_000)
    assert peak_bytes(name) < 1 << 20
    numbers = block(7, block(7, write_integers(1, [4_000])), write_float(5, 0.5) * 4_000)
    assert peak_bytes(layer(*[numbers] * 8)) < 3 << 20  # of two blobs, the one that was read and the next
    assert peak_bytes(layer(*[numbers] * 100)) < 3 << 20


@pytest.mark.parametrize("write", [present_net, v1_net])
def test_cut_and_spoiled_files_never_do_worse_than_an_error(write) -> None:
    content = write()
    for stop in range(1, len(content), 7):
        with suppress(InputError):
            read_caffemodel(content[:stop])
    with pytest.raises(InputError, match="cut short"):
        read_caffemodel(content[:-1])
    for _ in range(500):
        spoiled = np.frombuffer(content, np.uint8).copy()
        spoiled[RNG.integers(len(content), size=3)] = RNG.integers(0, 256, 3)
        with suppress(InputError):
            read_caffemodel(spoiled.tobytes())


def trained(names: Sequence[str] = LAYERS) -> list[TrainedLayer]:
    weighted = [TrainedLayer(name, "InnerProduct", ["below"], [name], keys_of(name)) for name in names]
    return [TrainedLayer("pool", "Pooling", ["x"], ["y"], []), *weighted, TrainedLayer("norm", "LRN", ["y"], ["z"], [])]


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("length", range(1, 6))
def test_what_is_written_is_read_where_it_lies(length: int, v1: bool) -> None:
    """Whatever the name is long: the numbers begin where runtimes can use them."""
    content = b"".join(map(bytes, write_caffemodel("n" * length, trained(), TENSORS, v1=v1)))
    placed = np.frombuffer(content, np.uint8)
    found = read_caffemodel(content)
    assert (found.name, found.order) == ("n" * length, ("Pooling", "LRN"))
    assert list(found.tensors) == list(TENSORS)
    for key, array in TENSORS.items():
        np.testing.assert_array_equal(found.tensors[key], array)
        assert np.shares_memory(found.tensors[key], placed)
        offset = found.tensors[key].__array_interface__["data"][0] - placed.__array_interface__["data"][0]
        assert offset % 4 == 0


def test_arrays_are_written_without_a_copy() -> None:
    large = {"fc.weight": np.zeros((1 << 10, 1 << 12), np.float32), "fc.bias": np.zeros(1 << 10, np.float32)}
    tracemalloc.start()
    total = sum(len(piece) for piece in write_caffemodel("n", trained(["fc"]), large))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 16 << 20
    assert peak < 1 << 20
