"""Tensors that stay in their file until somebody wants them: runtimes may use the file's own pages."""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import WeightsError

SCALE = ".scale"  # the tensor of this name after a quantized one's: what its whole numbers are multiplied by


class MappedTensors(Mapping[str, NDArray[np.float32]]):
    """The tensors of a file by key. `[key]` is a float32 array of one's own, read when it is first asked for.

    `views`: the same where they lie in the mapped file, read-only, perhaps at odd addresses.
    """

    def __init__(self, file: "MappedFile", keys: Iterable[str], views: Mapping[str, NDArray[Any]]) -> None:
        self.file, self.views = file, views
        self._keys = tuple(keys)
        self._read: dict[str, NDArray[np.float32]] = {}

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        if key not in self._read:
            self._read[key] = _dequantized(self.views[key], self.views.get(key + SCALE))
            self.file.let_go()
        return self._read[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class StoredTensors(MappedTensors):
    """The same of a file in which they lie as processors like them, so that runtimes may use the `views`.

    These are int8 and int32 in a quantized net, whose scales, one for each output, are the tensors `KEY.scale`.
    """

    @property
    def stored(self) -> dict[str, NDArray[Any]]:
        """The views that values are made of: of the keys, and of their scales where they have some."""
        names = (name for key in self for name in (key, key + SCALE))
        return {name: self.views[name] for name in names if name in self.views}

    @property
    def is_quantized(self) -> bool:
        """Are some of them whole numbers?"""
        return any(self.views[key].dtype != np.float32 for key in self)


class MappedFile:
    """A file whose bytes come into memory as they are looked at: `content`, read-only.

    It stays the file that was opened, whatever is written to its path later.

    Raises:
        WeightsError: it cannot be opened, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._opened = os.fstat(file.fileno())
                self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise WeightsError("no such file") from None
        except ValueError:  # of which nothing can be mapped
            raise WeightsError("an empty file") from None
        self.content = memoryview(self._mapping)
        self._address = _address(np.frombuffer(self.content, np.uint8))

    @property
    def is_replaced(self) -> bool:
        """Would its path lead to another file by now, or to none?"""
        try:
            return not os.path.samestat(self._opened, self.path.stat())
        except OSError:
            return True

    def let_go(self) -> None:
        """Count what was looked at no longer as memory of this process; the system still has it at hand."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)

    def offset(self, view: NDArray[Any]) -> int | None:
        """Where in the file an array begins that lies in `content`, in bytes; None if it does not."""
        offset = _address(view) - self._address
        return offset if 0 <= offset < len(self.content) else None


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _dequantized(stored: NDArray[Any], scale: NDArray[np.float32] | None) -> NDArray[np.float32]:
    tensor: NDArray[np.float32] = stored.astype(np.float32)
    if scale is not None:
        tensor *= scale.reshape(-1, *(1,) * (tensor.ndim - 1))
    return tensor


def where_they_lie(tensors: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """The tensors in their file, if they are float32 there; not to be changed."""
    if isinstance(tensors, StoredTensors) and not tensors.is_quantized:
        return {key: tensors.views[key] for key in tensors}
    return tensors


def is_quantized(tensors: Mapping[str, NDArray[np.float32]]) -> bool:
    """Are they of a file whose products are taken in whole numbers?"""
    return isinstance(tensors, StoredTensors) and tensors.is_quantized
