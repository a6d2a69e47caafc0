"""Small weights: of each tensor only the values that are not zero, as numbers of a codebook, entropy-coded.

In a file of safetensors the tensor KEY is three: `KEY.codebook` float16 (n,), at most 256 values; `KEY.codes` uint8, of
each value that is not zero its number in the codebook; `KEY.gaps` uint8, how many zeros stand before it. A gap of 255
is 255 zeros and no value yet. Codes and gaps are raw LZMA2 streams, whose literals without context come within 2 to 4 %
of the entropy of independent symbols and are read at some 30 million a second. What is small already (biases) is KEY
itself in float16, and a mean image is `KEY.steps`, see `pack_image`. Such streams have no checksum: a flipped bit may
be another weight and no error. So the CRC-32 of the tensors, which the probe in the metadata holds, are looked at
whenever the file is read (7 % of that time); a file without a probe has none, and is read without.

Source: the stages of Han, Mao and Dally 2016, arXiv 1510.00149 (Deep Compression).
Differs: LZMA's adaptive range coder, of the standard library, in the place of Huffman codes.
"""

import lzma
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import WeightsError
from alexnet.weights.check import list_names

CODEBOOK, CODES, GAPS, STEPS = ".codebook", ".codes", ".gaps", ".steps"
MOST_WEIGHTS = 1 << 28  # ours: a gigabyte of float32, four times net 145. A small file could claim any number
IMAGE_STEP = 0.25  # grey levels. Ours: a mean image is known no better than that

# The parts that are lists, of what numbers and of how many at most: uint8 tells 256 values apart.
_LISTS = {CODEBOOK: (np.float16, 256), CODES: (np.uint8, inf), GAPS: (np.uint8, inf), STEPS: (np.uint8, inf)}
_SKIP = 255  # zeros that a gap may stand for at most
_THREADS = 2
# Literals alone matter, and they depend on nothing before them. MODE_NORMAL: 5 to 10 % smaller than MODE_FAST.
_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12, "lc": 0, "lp": 0, "pb": 0, "mode": lzma.MODE_NORMAL}
]


class Coded(NamedTuple):
    """A tensor as `codebook[codes]`: codes uint8 of its shape, codebook float16 (n,), whose first value is zero."""

    codes: NDArray[np.uint8]
    codebook: NDArray[np.float16]

    @property
    def values(self) -> NDArray[np.float32]:
        """The tensor."""
        return self.codebook.astype(np.float32)[self.codes]


def pack(codes: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """(gaps, codes) as streams, of numbers in a codebook whose first value is zero."""
    flat = codes.reshape(-1)
    places = np.flatnonzero(flat)
    zeros = np.diff(places, prepend=-1) - 1
    skips = zeros // _SKIP
    gaps = np.full(len(places) + int(skips.sum()), _SKIP, np.uint8)
    gaps[np.arange(len(places)) + np.cumsum(skips)] = zeros % _SKIP
    return compress(gaps.tobytes()), compress(flat[places].tobytes())


def unpack(gaps: bytes, codes: bytes, codebook: NDArray[np.float16], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The tensor, float32 of `shape`.

    Raises:
        WeightsError: streams that are damaged, or of another tensor.
    """
    size = prod(shape)
    values = np.frombuffer(decompress(codes, size), np.uint8)
    steps = np.frombuffer(decompress(gaps, len(values) + size // _SKIP), np.uint8)
    is_value = steps != _SKIP
    places = np.cumsum(steps + is_value, dtype=np.int64)[is_value] - 1
    if len(places) != len(values) or (len(places) and places[-1] >= size):
        raise WeightsError("gaps and codes are not of this tensor")
    if len(values) and values.max() >= len(codebook):
        raise WeightsError("codes that its codebook has not")
    tensor = np.zeros(size, np.float32)
    tensor[places] = codebook.astype(np.float32)[values]
    return tensor.reshape(shape)


def pack_image(image: NDArray[np.float32]) -> bytes:
    """A smooth image (C, H, W), 0 to 255, in steps of `IMAGE_STEP`: differences along both axes, low bytes first."""
    steps = np.rint(image / IMAGE_STEP).astype(np.int16)
    for axis in (1, 2):
        steps = np.diff(steps, axis=axis, prepend=np.int16(0))
    zigzag = ((steps << 1) ^ (steps >> 15)).astype("<u2")  # small numbers of either sign have small codes
    return compress(_planes(zigzag))


def unpack_image(content: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The image of `pack_image`, float32 of `shape`.

    Raises:
        WeightsError: damaged, or of another shape.
    """
    size = prod(shape)
    planes = np.frombuffer(decompress(content, 2 * size), np.uint8)
    if planes.size != 2 * size:
        raise WeightsError("a mean image of another size")
    zigzag = planes[:size].astype(np.uint16) | planes[size:].astype(np.uint16) << 8
    steps = ((zigzag >> 1) ^ -(zigzag & 1)).astype(np.int16).reshape(shape)
    for axis in (2, 1):
        steps = np.cumsum(steps, axis=axis, dtype=np.int16)
    return steps.astype(np.float32) * np.float32(IMAGE_STEP)


def compress(content: bytes) -> bytes:
    """A raw LZMA2 stream."""
    return lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS)


def decompress(stream: bytes, most: int) -> bytes:
    """The content of a stream of `compress`, of at most `most` bytes, whatever a hostile one claims.

    Raises:
        WeightsError: it is damaged, cut short, or longer.
    """
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        content = reader.decompress(stream, most + 1)
    except lzma.LZMAError:
        raise WeightsError("a damaged LZMA stream; copy the file again") from None
    if len(content) > most or not reader.eof or reader.unused_data:
        raise WeightsError("an LZMA stream that is cut short or too long; copy the file again")
    return content


def pack_tensors(tensors: Mapping[str, Coded | NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """What is stored in the file for tensors by key: those that are coded, and others as float16."""
    stored: dict[str, NDArray[Any]] = {}
    for key, tensor in tensors.items():
        if isinstance(tensor, Coded):
            gaps, codes = (np.frombuffer(stream, np.uint8) for stream in pack(tensor.codes))
            stored |= {key + CODEBOOK: tensor.codebook, key + CODES: codes, key + GAPS: gaps}
        else:
            stored[key] = tensor.astype(np.float16)
    return stored


def unpack_tensors(
    shapes: Mapping[str, tuple[int, ...]], stored: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]]:
    """The tensors of `shapes`, float32 by key, from the arrays that `pack_tensors` stored.

    Raises:
        WeightsError: arrays that are missing, unknown, damaged or of other tensors; or more than any such net has.
    """
    if sum(map(prod, shapes.values())) > MOST_WEIGHTS:
        raise WeightsError(f"over {MOST_WEIGHTS:,} weights; give them unpacked")
    parts = {key: [key] if key in stored else [key + part for part in (CODEBOOK, CODES, GAPS)] for key in shapes}
    wanted = [name for names in parts.values() for name in names]
    if unknown := stored.keys() - wanted:
        raise WeightsError(f"unknown {list_names(sorted(unknown))}")
    if missing := [name for name in wanted if name not in stored]:
        raise WeightsError(f"missing {list_names(missing)}")
    for name, array in stored.items():
        check_stored(name, array)

    def tensor(key: str) -> NDArray[np.float32]:
        if key in stored:
            return np.asarray(stored[key], np.float32)
        codebook, codes, gaps = (stored[name] for name in parts[key])
        return unpack(gaps.tobytes(), codes.tobytes(), codebook, shapes[key])

    with ThreadPoolExecutor(_THREADS) as pool:  # the decoder lets go of the interpreter
        return dict(zip(shapes, pool.map(tensor, shapes), strict=True))


def check_stored(name: str, array: NDArray[Any]) -> None:
    """Refuse what the part of a packed file that is called so cannot be, whatever is in it.

    Raises:
        WeightsError: numbers of another kind, other axes than one, or a codebook of more values than codes tell apart.
    """
    part = name[name.rfind(".") :]
    dtype, most = _LISTS.get(part, (np.float16, inf))
    is_list = array.ndim == 1 and array.size <= most
    if array.dtype != dtype or (part in _LISTS and not is_list):
        raise WeightsError(f"damaged, {name} cannot be {array.dtype} {array.shape}; copy the file again")


def is_coded(key: str) -> bool:
    """Is it a tensor of weights? Biases are few, and not worth it."""
    return key.endswith(".weight")


def is_packed(keys: Iterable[str]) -> bool:
    """Are these keys of a packed file?"""
    return any(key.endswith(CODES) for key in keys)


def _planes(words: NDArray[np.uint16]) -> bytes:
    """All low bytes, then all high ones: each kind is alike."""
    low, high = words.astype(np.uint8), (words >> 8).astype(np.uint8)
    return low.tobytes() + high.tobytes()
