"""PyTorch's .pth files written without torch: a state dict that `torch.load(path, weights_only=True)` gives back.

The archive and its pickle are what `interop.pth` reads: a dict of float32 tensors, each of a storage of its own. The
same tensors give the same bytes. PyTorch passes over what lies in the folder `extra`.

Source: torch.serialization of PyTorch 2.13; pickletools of the standard library for the instructions.
"""

import struct
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from alexnet.data.zip_index import LOCAL_HEADER_SIZE
from alexnet.interop.pth import BYTE_ORDER, EXTRA, PICKLE, STORAGES

Array = NDArray[np.float32]

_FOLDER = "archive/"
_VERSION = b"3\n"  # of the archive, as PyTorch writes it today
_ALIGNMENT = 64  # bytes: PyTorch may map the file, and begins each part where processors like numbers to lie
_PADDING = struct.Struct("<2sH")  # an extra field that means nothing: its mark (PyTorch's own), the length of the rest


def write_state_dict(path: Path, tensors: Mapping[str, Array], extra: Mapping[str, bytes]) -> None:
    """Write `tensors`, float32, by their keys to a .pth file, and the bytes of `extra` by their names beside them.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full.
    """
    with ZipFile(path, "w", ZIP_STORED) as archive:
        _add(archive, PICKLE, _pickle(tensors))
        _add(archive, BYTE_ORDER, b"little")
        for name, content in extra.items():
            _add(archive, f"{EXTRA}{name}", content)
        for number, tensor in enumerate(tensors.values()):
            _add(archive, f"{STORAGES}{number}", np.ascontiguousarray(tensor, "<f4").reshape(-1).view(np.uint8).data)
        _add(archive, "version", _VERSION)


def _add(archive: ZipFile, name: str, content: bytes | memoryview) -> None:
    """A part whose content begins at a multiple of `_ALIGNMENT`; its date is the first that archives know."""
    info = ZipInfo(f"{_FOLDER}{name}")
    start = archive.start_dir + LOCAL_HEADER_SIZE + len(info.filename) + _PADDING.size
    missing = -start % _ALIGNMENT
    info.extra = _PADDING.pack(b"FB", missing) + bytes(missing)
    archive.writestr(info, content)


def _pickle(tensors: Mapping[str, Array]) -> bytes:
    """{key: tensor, ...}, as instructions."""
    entries = (_text(key) + _tensor(str(number), tensor) for number, (key, tensor) in enumerate(tensors.items()))
    return b"\x80\x02}(" + b"".join(entries) + b"u."


def _tensor(storage: str, tensor: Array) -> bytes:
    """A call that makes a tensor of the whole of a storage, in C order, for which no gradient is wanted."""
    steps = [prod(tensor.shape[side + 1 :]) for side in range(tensor.ndim)]
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = [_storage(storage, tensor.size), _integer(0), _tuple(map(_integer, tensor.shape))]
    arguments += [_tuple(map(_integer, steps)), b"\x89", hooks]
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + _tuple(arguments) + b"R"


def _storage(name: str, size: int) -> bytes:
    """A reference to the numbers of the part `data/NAME`."""
    return _tuple([_text("storage"), b"ctorch\nFloatStorage\n", _text(name), _text("cpu"), _integer(size)]) + b"Q"


def _tuple(items: Iterable[bytes]) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<L", len(encoded)) + encoded


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)
