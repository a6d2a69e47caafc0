"""Weights of a net in two towers, and of the same net in one: the same numbers, laid together or taken apart."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.towers import Merged, Piece

Array = NDArray[np.float32]


def merge_tensors(merged: Merged, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of the net in one, from those of its towers."""
    found: dict[str, Array] = {}
    for name, pieces in merged.pieces.items():
        weights = [_ordered(tensors[f"{piece.row}.weight"], piece) for piece in pieces]
        found[f"{name}.weight"] = weights[0] if len(weights) == 1 else np.concatenate(weights)
        biases = [tensors[key] for piece in pieces if (key := f"{piece.row}.bias") in tensors]
        if biases:
            found[f"{name}.bias"] = biases[0] if len(biases) == 1 else np.concatenate(biases)
    return found


def split_tensors(merged: Merged, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of the towers, from those of the net in one."""
    found: dict[str, Array] = {}
    for name, pieces in merged.pieces.items():
        start = 0
        for piece in pieces:
            outputs = slice(start, start + piece.outputs) if len(pieces) > 1 else slice(None)
            found[f"{piece.row}.weight"] = _as_written(tensors[f"{name}.weight"][outputs], piece)
            if f"{name}.bias" in tensors:
                found[f"{piece.row}.bias"] = tensors[f"{name}.bias"][outputs]
            start += piece.outputs
    return found


def _ordered(weight: Array, piece: Piece) -> Array:
    """The columns of a tower's weights in the order of the merged net's inputs."""
    if _in_order(piece):
        return weight
    return np.concatenate([weight[:, part.start : part.stop] for part in piece.columns], axis=1)


def _as_written(weight: Array, piece: Piece) -> Array:
    """The inverse of `_ordered`."""
    if _in_order(piece):
        return weight
    result, start = np.empty_like(weight), 0
    for part in piece.columns:
        result[:, part.start : part.stop] = weight[:, start : start + len(part)]
        start += len(part)
    return result


def _in_order(piece: Piece) -> bool:
    return list(piece.columns) == sorted(piece.columns, key=lambda part: part.start)
