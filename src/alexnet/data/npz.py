"""Arrays with more rows than memory holds: written into one NPZ file block by block, and read so."""

import shutil
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.errors import DataError

_BYTES_PER_BLOCK, _BYTES_PER_COPY = 32 << 20, 1 << 20
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What zipfile, its decompressors and NumPy, which parses headers as code, raise at a damaged file: its bytes choose.
_OF_DAMAGE = (
    *(BadZipFile, zlib.error, LZMAError, struct.error, TokenError, SyntaxError, ValueError, TypeError),
    *(ArithmeticError, EOFError, RuntimeError, MemoryError),
)

Shape = tuple[int | None, ...]  # None: any number


@dataclass
class _Rows:
    """Rows of one array so far, in a file without a name that vanishes with the process."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # of a row
    file: IO[bytes]
    count: int = 0


class NpzWriter:
    """Collects arrays for an NPZ file; see `write_npz`."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._folder, self._files = folder, files
        self._arrays: dict[str, _Rows] = {}

    def append(self, name: str, rows: NDArray[Any]) -> None:
        """More rows of the array `name`: (n, ...), of the dtype and the shape behind n that its first ones had."""
        if name not in self._arrays:
            file = self._files.enter_context(TemporaryFile(dir=self._folder))  # noqa: SIM115
            self._arrays[name] = _Rows(rows.dtype, rows.shape[1:], file)
        array = self._arrays[name]
        if (rows.dtype, rows.shape[1:]) != (array.dtype, array.shape):
            raise ValueError(f"{name} has rows of {array.dtype} {array.shape}, not of {rows.dtype} {rows.shape[1:]}")
        array.file.write(rows.tobytes())
        array.count += len(rows)

    def zip_into(self, path: Path) -> None:
        """Write everything to `path` as `numpy.savez` would."""
        with ZipFile(path, "w") as archive:
            for name, array in self._arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {
                        "descr": npy.dtype_to_descr(array.dtype),
                        "fortran_order": False,
                        "shape": (array.count, *array.shape),
                    }
                    npy.write_array_header_1_0(member, header)
                    array.file.seek(0)
                    shutil.copyfileobj(array.file, member, _BYTES_PER_COPY)


@contextmanager
def write_npz(path: str | Path) -> Iterator[NpzWriter]:
    """`with write_npz(path) as npz: npz.append("features", rows)`: the file is there, whole, when the block ends well.

    Needs room for it twice while it is put together.

    Raises:
        OSError: the folder is missing or read-only, or the disk is full; nothing is left behind then.
    """
    path = Path(path)
    with write_whole(path) as whole, ExitStack() as files:
        try:
            writer = NpzWriter(path.parent, files)
            yield writer
            writer.zip_into(whole)
        except OSError as error:
            error.filename = error.filename and str(path)  # not the name of a file that nobody will ever see
            raise


def read_array(path: str | Path, name: str, dtype: type[np.generic], shape: Shape) -> NDArray[Any]:
    """A whole array of an NPZ file, of this type and shape.

    Raises:
        DataError: it is not in the file, or another one is, or the file is damaged.
    """
    with _opened(path, name, dtype, shape) as array:
        return np.concatenate([np.empty((0, *array.shape), array.dtype), *_blocks(array)])


def read_words(path: str | Path, name: str, count: int | None = None) -> list[str]:
    """An array of words in an NPZ file; see `read_array`."""
    with _opened(path, name, np.str_, (count,)) as array:
        return [word for block in _blocks(array) for word in _words(block)]


def read_blocks(path: str | Path, name: str, dtype: type[np.generic], shape: Shape) -> Iterator[NDArray[Any]]:
    """The rows of an array of an NPZ file, some tens of megabytes at a time; see `read_array`."""
    with _opened(path, name, dtype, shape) as array:
        yield from _blocks(array)


@contextmanager
def _opened(path: str | Path, name: str, dtype: type[np.generic], shape: Shape) -> Iterator[_Rows]:
    """An array whose header has been read and checked; whatever goes wrong with it then is one line."""
    try:
        with ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                raise DataError(f"{path}: there is no array {name!r} in it")
            with archive.open(f"{name}.npy") as member:
                array = _read_header(member, archive.getinfo(f"{name}.npy").file_size)
                if not np.issubdtype(array.dtype, dtype) or not _fits((array.count, *array.shape), shape):
                    found = f"{array.dtype} {(array.count, *array.shape)}"
                    wanted = " x ".join("any" if length is None else str(length) for length in shape)
                    raise DataError(f"{path}: {name!r} is {found}, not {dtype.__name__.rstrip('_')} {wanted}")
                yield array
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _OF_DAMAGE as error:
        raise DataError(f"{path}: damaged, or no NPZ file ({error})") from None


def _read_header(member: IO[bytes], size: int) -> _Rows:
    """Type and shape of the array in a file of `size` bytes, which must be just what they need."""
    version = npy.read_magic(member)
    if version not in _READ_HEADER:
        raise ValueError(f"an array of version {version}")
    shape, fortran_order, dtype = _READ_HEADER[version](member)
    if fortran_order or dtype.hasobject or not shape:
        raise ValueError("not plain rows")
    if min(shape) < 0 or not dtype.itemsize or prod(shape) * dtype.itemsize != size - member.tell():
        raise ValueError(f"its header speaks of {dtype} {shape}, which {size:,} bytes are not")
    return _Rows(dtype, shape[1:], member, shape[0])


def _blocks(array: _Rows) -> Iterator[NDArray[Any]]:
    bytes_per_row = prod(array.shape) * array.dtype.itemsize
    rows_per_block = max(1, _BYTES_PER_BLOCK // max(1, bytes_per_row))
    for start in range(0, array.count, rows_per_block):
        count = min(rows_per_block, array.count - start)
        block = np.frombuffer(array.file.read(count * bytes_per_row), array.dtype)
        yield block.reshape(count, *array.shape)


def _words(block: NDArray[Any]) -> list[str]:
    """NumPy makes strings even of numbers that are no characters, and of zeros between others; neither is a word."""
    numbers = block.view(np.dtype(np.uint32).newbyteorder(block.dtype.byteorder))
    words: list[str] = block.tolist()
    if (numbers.size and numbers.max() > sys.maxunicode) or any("\0" in word for word in words):
        raise ValueError("words of no characters")
    return words


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(want in (None, has) for has, want in zip(shape, wanted, strict=True))
