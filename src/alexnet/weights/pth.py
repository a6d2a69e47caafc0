"""Weights as PyTorch's .pth: a plain state dict for everyone else, and for us all that belongs to it.

`torch.load(path, weights_only=True)` gives the state dict of `alexnet.create(NET)`; of torchvision's net, that of
`torchvision.models.alexnet()`, key for key. What travels along lies in the archive's folder `extra`, which PyTorch
passes over: `alexnet.json`, what files of safetensors keep as metadata, and the mean image as float32, little-endian.
A .pth of others has none of this: see `foreign.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.serial import spec_from_json
from alexnet.arch.spec import Spec
from alexnet.atomic import write_whole
from alexnet.interop.pth import check_sums, read_extra, read_state_dict
from alexnet.interop.pth_writer import write_state_dict
from alexnet.interop.torchvision import rename, to_torchvision
from alexnet.preprocess import canvas_size
from alexnet.weights.check import check_shapes, check_tensors
from alexnet.weights.files import (
    MEAN_IMAGE,
    METADATA_KEY,
    Header,
    Weights,
    header_of,
    load_metadata,
    named_in_errors,
    read_metadata,
    write_metadata,
)
from alexnet.weights.foreign import PTH, TORCHVISION, checked_tensors, read_foreign, read_foreign_header
from alexnet.weights.stored import MappedFile

_METADATA = f"{METADATA_KEY}.json"


class _Own(NamedTuple):
    """A .pth file of ours: its metadata and net, its tensors by our keys, and the bytes of its mean image."""

    stored: Mapping[str, Any]
    spec: Spec
    tensors: Mapping[str, NDArray[Any]]
    mean_image: memoryview | None


def save_pth(path: str | Path, weights: Weights) -> None:
    """Write `weights`, whole or not at all. The same weights give the same bytes.

    Raises:
        WeightsError: the tensors are not those of the spec, or not finite.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    check_tensors(weights.spec, weights.tensors)
    tensors = to_torchvision(weights.tensors) if weights.spec.name == TORCHVISION else weights.tensors
    extra = {_METADATA: write_metadata(weights).encode()}
    if weights.preprocessing.mean_image is not None:
        extra[MEAN_IMAGE] = weights.preprocessing.mean_image.astype("<f4").tobytes()
    with write_whole(path) as temporary:
        write_state_dict(temporary, tensors, extra)


def read_pth(path: Path) -> Weights:
    """The weights in a .pth file, of ours or of others. Needs no torch, and runs nothing.

    Raises:
        WeightsError: no whole .pth file, other bytes than its sums say, or tensors that are not its net's.
    """
    with named_in_errors(path):
        file = MappedFile(path)
        if (own := _read(file)) is not None:
            with path.open("rb") as opened:
                check_sums(opened, file.content)
            tensors = checked_tensors(file, own.spec, own.tensors)
            return read_metadata(own.stored, tensors, _mean_image(own))
    return read_foreign(path, PTH)


def read_pth_header(path: Path) -> Header:
    """What a .pth file says of its weights.

    Raises:
        WeightsError: as `read_pth`, but for numbers, which it does not look at.
    """
    with named_in_errors(path):
        if (own := _read(MappedFile(path))) is not None:
            check_shapes(own.spec, {key: tensor.shape for key, tensor in own.tensors.items()})
            return header_of(own.stored)
    return read_foreign_header(path, PTH)


def _read(file: MappedFile) -> _Own | None:
    """What is in a file of ours; None of others' files."""
    with file.path.open("rb") as opened:
        extra = read_extra(opened, file.content)
        if _METADATA not in extra:
            return None
        tensors = read_state_dict(opened, file.content)
    stored = load_metadata({METADATA_KEY: str(extra[_METADATA], "utf-8")}, "a .pth file")
    spec = spec_from_json(stored["spec"])
    return _Own(stored, spec, rename(tensors) if spec.name == TORCHVISION else tensors, extra.get(MEAN_IMAGE))


def _mean_image(own: _Own) -> NDArray[np.float32] | None:
    if own.mean_image is None:
        return None
    side = canvas_size(own.stored["preprocessing"]["resize"])
    return np.frombuffer(own.mean_image, "<f4").reshape(3, *side).astype(np.float32)
