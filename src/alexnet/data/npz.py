"""Arrays with more rows than memory holds: written into one NPZ file block by block, and read so."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.errors import DataError

_BYTES_PER_BLOCK, _BYTES_PER_COPY = 32 << 20, 1 << 20
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


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


def read_array(path: str | Path, name: str) -> NDArray[Any]:
    """A whole array of an NPZ file.

    Raises:
        DataError: it is not in the file, or the file is damaged.
    """
    with _damage_named(path, name), ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        return array


def read_blocks(path: str | Path, name: str) -> Iterator[NDArray[Any]]:
    """The rows of an array of an NPZ file, some tens of megabytes at a time.

    Raises:
        DataError: it is not in the file, or the file is damaged.
    """
    with _damage_named(path, name), ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        shape, fortran_order, dtype = _READ_HEADER[npy.read_magic(member)](member)
        if fortran_order or dtype.hasobject or not shape:
            raise ValueError("not plain rows")
        bytes_per_row = int(dtype.itemsize * np.prod(shape[1:]))
        rows_per_block = max(1, _BYTES_PER_BLOCK // max(1, bytes_per_row))
        for start in range(0, shape[0], rows_per_block):
            count = min(rows_per_block, shape[0] - start)
            block = np.frombuffer(member.read(count * bytes_per_row), dtype)
            yield block.reshape(count, *shape[1:])


@contextmanager
def _damage_named(path: str | Path, name: str) -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise DataError(f"{path}: there is no array {name!r} in it") from None
    except (BadZipFile, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: damaged, or no NPZ file ({error})") from None
