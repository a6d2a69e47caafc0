"""The published batches are pickles, and a pickle is a program. This reads the few that hold only arrays and text."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.errors import DataError


def load_pickle(path: Path) -> Any:
    """The object in a pickle of Python 2 or 3, of plain values and NumPy arrays; byte strings come as latin-1 text.

    Raises:
        DataError: not a pickle, cut off, or one that asks for anything else; that is refused before it runs.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # hostile or cut bytes raise nearly anything: EOFError, KeyError, UnpicklingError ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a whole pickle ({reason}); copy it again") from None


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles. Other codecs can expand a few bytes without bound."""
    if encoding != "latin1":
        raise DataError(f"refused codec {encoding!r}")
    return text.encode("latin1")


_ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    # NumPy 1 and 2 keep these at different private addresses; asking an array and a number for them works in both.
    ("multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],  # type: ignore[dict-item]
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],  # type: ignore[dict-item]
    ("_codecs", "encode"): _encode,
}
_MULTIARRAY = frozenset({"numpy.core.multiarray", "numpy._core.multiarray"})


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        address = "multiarray" if module in _MULTIARRAY else module
        if (address, name) not in _ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}, which is no array; refused, nothing was run")
        return _ALLOWED[address, name]
