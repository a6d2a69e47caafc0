"""A name for weights by what they compute: equal for copies, wherever they lie and whatever else is kept with them."""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from alexnet.weights.files import Weights, write_metadata
from alexnet.weights.stored import SCALE, MappedTensors

_COMPUTING = ("spec", "classes", "preprocessing")


def weights_digest(weights: Weights) -> str:
    """32 hexadecimal digits of SHA-256 over net, classes, preprocessing and tensors. Half a second for 244 MB."""
    kept = json.loads(write_metadata(weights))
    digest = hashlib.sha256(json.dumps([kept[key] for key in _COMPUTING], sort_keys=True).encode())
    for name, tensor in _arrays(weights):
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:32]


def _arrays(weights: Weights) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Tensors as they are stored, where they lie in a file, so that none is copied; then the mean image."""
    tensors = weights.tensors
    for key in sorted(tensors):
        if isinstance(tensors, MappedTensors):
            yield from ((name, tensors.views[name]) for name in (key, key + SCALE) if name in tensors.views)
        else:
            yield key, tensors[key]
    if isinstance(tensors, MappedTensors):
        tensors.file.let_go()
    if weights.preprocessing.mean_image is not None:
        yield "mean_image", weights.preprocessing.mean_image
