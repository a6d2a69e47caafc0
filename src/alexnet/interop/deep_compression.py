"""The file of Deep Compression's AlexNet: codebooks, biases, and of each weight that is left its code and its gap.

Little-endian and without any mark: uint32, how many entries each layer has; then of each layer float32 codebook (256
values for a conv, 16 for an fc), float32 biases, codes (8 bits each for a conv, 4 for an fc) and gaps (4 bits each: how
many places are passed over before the entry). Of two in a byte the first is the lower. A longer gap than 15 has entries
between whose code is 0; places without an entry have code 0 too.

Source: Han, Mao and Dally 2016, arXiv 1510.00149; decode.py of songhan/Deep-Compression-AlexNet.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError

Shapes = Mapping[str, tuple[int, ...]]  # of a net's weights and biases by key, layer by layer

_COUNT_BYTES = 4


class _Layer(NamedTuple):
    name: str
    shape: tuple[int, ...]
    outputs: int
    entries: int

    @property
    def bits(self) -> int:
        """Of a code: 8 for a conv, 4 for an fc."""
        return 8 if len(self.shape) == 4 else 4

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Bytes of codebook, biases, codes and gaps."""
        return 4 << self.bits, 4 * self.outputs, _packed(self.entries, self.bits), _packed(self.entries, 4)


def is_compressed(start: bytes, num_bytes: int, shapes: Shapes) -> bool:
    """Is a file of `num_bytes`, which begins with `start` (32 bytes for AlexNet), one of a net of `shapes`?"""
    layers = _layers(start, shapes)
    return bool(layers) and num_bytes == _length(layers)


def read_compressed(content: memoryview, shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    """Key to float32 array of its shape in `shapes`.

    Raises:
        InputError: not as long as its header says, more entries than a layer has weights, or entries beyond its end.
    """
    layers = _layers(content[: _COUNT_BYTES * len(shapes)], shapes)
    if not layers:
        raise InputError("not a file of Deep Compression (its header does not fit the net)")
    if len(content) != (length := _length(layers)):
        raise InputError(f"not whole: {len(content):,} bytes, where its header means {length:,}; copy it again")
    tensors: dict[str, NDArray[np.float32]] = {}
    for layer, parts in zip(layers, _parts(content, layers), strict=True):
        tensors[f"{layer.name}.weight"] = _weights(layer, *parts)
        tensors[f"{layer.name}.bias"] = np.frombuffer(parts[1], "<f4").copy()
    return tensors


def _layers(start: bytes | memoryview, shapes: Shapes) -> list[_Layer]:
    """The layers with the numbers of their entries; none where the header is cut or is not one of such a net."""
    names = [key.removesuffix(".weight") for key in shapes if key.endswith(".weight")]
    if len(start) < _COUNT_BYTES * len(names):
        return []
    counts = np.frombuffer(start, "<u4", len(names)).tolist()
    layers = [
        _Layer(name, shapes[f"{name}.weight"], prod(shapes[f"{name}.bias"]), count)
        for name, count in zip(names, counts, strict=True)
    ]
    return layers if all(layer.entries <= prod(layer.shape) for layer in layers) else []


def _length(layers: Sequence[_Layer]) -> int:
    return _COUNT_BYTES * len(layers) + sum(sum(layer.sizes) for layer in layers)


def _packed(entries: int, bits: int) -> int:
    """Bytes that so many numbers take."""
    return -(-entries * bits // 8)


def _parts(content: memoryview, layers: Sequence[_Layer]) -> Iterator[list[memoryview]]:
    """Of each layer its codebook, biases, codes and gaps."""
    start = _COUNT_BYTES * len(layers)
    for layer in layers:
        parts = []
        for size in layer.sizes:
            parts.append(content[start : start + size])
            start += size
        yield parts


def _weights(
    layer: _Layer, codebook: memoryview, _biases: memoryview, codes: memoryview, gaps: memoryview
) -> NDArray[np.float32]:
    values, steps = np.frombuffer(codebook, "<f4"), _numbers(gaps, layer.entries, 4)
    places = np.cumsum(steps + np.uint8(1), dtype=np.int64) - 1
    size = prod(layer.shape)
    if layer.entries and places[-1] >= size:
        raise InputError(f"damaged ({layer.name} has entries beyond its {size:,} weights); copy it again")
    weights = np.full(size, values[0], np.float32)
    weights[places] = values[_numbers(codes, layer.entries, layer.bits)]
    return weights.reshape(layer.shape)


def _numbers(packed: memoryview, count: int, bits: int) -> NDArray[np.uint8]:
    """`count` numbers of 4 or 8 bits, uint8."""
    whole = np.frombuffer(packed, np.uint8)
    return whole if bits == 8 else np.stack([whole & 15, whole >> 4], axis=1).reshape(-1)[:count]
