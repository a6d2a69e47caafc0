import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.deep_compression import is_compressed, read_compressed

SHAPES = {"conv1.weight": (4, 3, 2, 2), "conv1.bias": (4,), "fc8.weight": (5, 40), "fc8.bias": (5,)}
# Where there is an entry in the flat weights, and its code. The last gap is of 3 + 16 + 16: two entries fill it.
PLACES = {"conv1": [0, 1, 7, 23, 47], "fc8": [3, 4, 23, 39, 199]}
CODES = {"conv1": [255, 1, 2, 0, 77], "fc8": [15, 1, 0, 2, 9]}


def entries(layer: str) -> tuple[list[int], list[int]]:
    """(gaps, codes) of a layer, long gaps filled with entries of code 0."""
    gaps, codes, last = [], [], -1
    for place, code in zip(PLACES[layer], CODES[layer], strict=True):
        while place - last - 1 > 15:
            gaps.append(15)
            codes.append(0)
            last += 16
        gaps.append(place - last - 1)
        codes.append(code)
        last = place
    return gaps, codes


def packed(numbers: list[int]) -> bytes:
    """Two numbers of 4 bits a byte, the first the lower."""
    padded = [*numbers, 0][: len(numbers) + len(numbers) % 2]
    return bytes(low | high << 4 for low, high in zip(padded[::2], padded[1::2], strict=True))


def codebook(size: int) -> np.ndarray:
    values = np.linspace(-1, 1, size, dtype="<f4")
    values[0] = 0.25  # published ones have 0 here; what counts is that all other places get it
    return values


def file() -> bytes:
    gaps = {layer: entries(layer)[0] for layer in PLACES}
    parts = [np.array([len(gaps[layer]) for layer in PLACES], "<u4").tobytes()]
    for layer, bits in (("conv1", 8), ("fc8", 4)):
        codes = entries(layer)[1]
        biases = np.arange(SHAPES[f"{layer}.bias"][0], dtype="<f4")
        parts += [codebook(1 << bits).tobytes(), biases.tobytes()]
        parts += [bytes(codes) if bits == 8 else packed(codes), packed(gaps[layer])]
    return b"".join(parts)


def test_codes_become_weights_at_their_places() -> None:
    found = read_compressed(memoryview(file()), SHAPES)
    assert {key: array.shape for key, array in found.items()} == SHAPES
    for layer, size in (("conv1", 256), ("fc8", 16)):
        weights = np.full(np.prod(SHAPES[f"{layer}.weight"]), 0.25, np.float32)
        weights[PLACES[layer]] = codebook(size)[CODES[layer]]
        np.testing.assert_array_equal(found[f"{layer}.weight"].ravel(), weights)
        np.testing.assert_array_equal(found[f"{layer}.bias"], np.arange(len(found[f"{layer}.bias"])))


def test_the_published_length_follows_from_the_published_header() -> None:
    from alexnet.arch import find
    from alexnet.weights.check import tensor_shapes

    counts = np.array([29388, 118492, 309138, 247913, 163904, 4665474, 1959380, 1061645], "<u4").tobytes()
    assert is_compressed(counts, 9_037_369, tensor_shapes(find("caffe")))


def test_a_file_is_known_by_its_header_and_length_alone() -> None:
    content = file()
    assert is_compressed(content[:8], len(content), SHAPES)
    assert not is_compressed(content[:8], len(content) + 1, SHAPES)
    assert not is_compressed(content[:7], len(content), SHAPES)
    assert not is_compressed(b"\xff" * 8, len(content), SHAPES)


@pytest.mark.parametrize("size", [0, 4, 8, 100, -1])
def test_another_length_than_the_header_means_is_refused(size: int) -> None:
    content = file()
    with pytest.raises(
        InputError, match=r"its header does not fit|not whole: .* where its header means 1,[0-9]{3}"
    ) as caught:
        read_compressed(memoryview(content[:size]), SHAPES)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="not whole"):
        read_compressed(memoryview(content + b"\0"), SHAPES)


def test_entries_beyond_the_weights_are_refused() -> None:
    content = bytearray(file())
    content[-7:] = b"\xff" * 7  # all its gaps are 15
    with pytest.raises(InputError, match="fc8 has entries beyond its 200 weights"):
        read_compressed(memoryview(content), SHAPES)


def test_more_entries_than_weights_are_refused_before_anything_is_read() -> None:
    content = np.array([49, 0], "<u4").tobytes() + bytes(5000)
    with pytest.raises(InputError, match="header does not fit"):
        read_compressed(memoryview(content), SHAPES)


def test_layers_without_entries_have_one_value_throughout() -> None:
    content = bytes(8) + codebook(256).tobytes() + bytes(16) + codebook(16).tobytes() + bytes(20)
    assert (read_compressed(memoryview(content), SHAPES)["fc8.weight"] == 0.25).all()
