"""Tensors as numbers in codebooks of float16, and how many bytes these take."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.recipes import SharedValues
from alexnet.train.sharing import centres_of, most_values, nearest
from alexnet.weights import Weights
from alexnet.weights.files import write_metadata
from alexnet.weights.packed import Coded, is_coded, pack_image

_HEADER_BYTES = 90  # of safetensors for one array
_LARGEST = float(np.finfo(np.float16).max)
_COARSEST = 0.01  # ours: steps of float16, as a share of the root mean square of weights


def check_range(weights: Weights) -> None:
    """Refuse tensors that float16 cannot hold, in which all values are stored.

    Raises:
        InputError: names the first that is too large, or the first row whose weights are so small that they would lose
            their digits, and in the end become zero.
    """
    for key, tensor in weights.tensors.items():
        largest = max(float(tensor.max()), -float(tensor.min()))
        if largest > _LARGEST:
            raise InputError(
                f"{key} has values up to {largest:.3g}, and float16, in which they are stored, ends at 65504"
            )
        if not is_coded(key) or not largest:
            continue
        left = tensor[tensor != 0] / np.float32(largest)  # whose squares are not too small for float32
        size = largest * float(np.sqrt(np.square(left).mean()))
        if float(np.spacing(np.float16(size))) > _COARSEST * size:
            raise InputError(f"{key} is {size:.2g} in root mean square, too little for float16, which it is stored in")


def weight_bytes(weights: Weights, target_bytes: int) -> int:
    """What a file of `target_bytes` leaves for the weights.

    Raises:
        InputError: not a byte for every hundred of them.
    """
    others = sum(2 * tensor.size for key, tensor in weights.tensors.items() if not is_coded(key))
    image = weights.preprocessing.mean_image
    others += len(write_metadata(weights)) + (0 if image is None else len(pack_image(image)))
    others += sum(_HEADER_BYTES * (3 if is_coded(key) else 1) for key in weights.tensors)
    least = others + sum(tensor.size for key, tensor in weights.tensors.items() if is_coded(key)) // 100
    if target_bytes < least:
        mib = ceil(least / 2**20 * 1000) / 1000
        raise InputError(f"{target_bytes:,} bytes are too few for {weights.spec.name}; give it --mib {mib:g} or more")
    return target_bytes - others


def code(weights: Weights, shared: SharedValues) -> dict[str, Coded | NDArray[np.float32]]:
    """The tensors as numbers in codebooks. Values that are not shared yet are made so, by k-means; biases stay."""
    coded: dict[str, Coded | NDArray[np.float32]] = {}
    for key, tensor in weights.tensors.items():
        if not is_coded(key):
            coded[key] = tensor
            continue
        left, most = tensor != 0, most_values(weights.spec, key, shared)
        values = tensor[left]
        centres = np.unique(values)
        centres = centres if len(centres) <= most else centres_of(values, most)
        codes = np.zeros(tensor.shape, np.uint8)
        codes[left] = 1 + nearest(values, centres)
        coded[key] = Coded(codes, np.concatenate([[0], centres]).astype(np.float16))
    return coded


def num_left(weights: Weights) -> int:
    """Weights that are not zero."""
    return sum(int(np.count_nonzero(tensor)) for key, tensor in weights.tensors.items() if is_coded(key))


def float32_bytes(weights: Weights) -> int:
    """Of all tensors as they are computed with."""
    return sum(4 * tensor.size for tensor in weights.tensors.values())
