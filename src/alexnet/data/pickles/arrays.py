"""What NumPy's arrays, dtypes and numbers look like in a pickle: a few names, called with plain values.

Nothing of NumPy is called by these names; an array is made here from its bytes, its shape and one of a few dtypes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import DataError

Raw = Callable[[Any], memoryview]  # the bytes of a string in the pickle, whatever form it came in

_NUMBERS = re.compile(r"[<>|=]?[biuf][1248]")
_MAX_DIMS = 8  # ours; batches have two
_BYTE_ORDERS = ("<", ">", "|", "=")


@dataclass(frozen=True, eq=False)
class Call:
    """A name on the stack. `make` takes `Raw` and the arguments."""

    make: Callable[..., Any]


class Unfinished:
    """An array or a dtype between the instruction that makes it and the one that fills it; `value` is itself so far."""

    def __init__(self, fill: Callable[[Raw, Any], Any]) -> None:
        self.value: Any = self
        self._fill = fill

    def fill(self, raw: Raw, state: Any) -> Any:
        """The value, which stands for this from now on."""
        self.value = self._fill(raw, state)
        return self.value


def find_call(module: str, name: str) -> Call:
    """What stands for `module.name`.

    Raises:
        DataError: it is not one of the few names that arrays of numbers need.
    """
    if type(module) is not str or type(name) is not str:
        raise DataError("the pickle asks for what has no name; refused, nothing was run")
    call = _CALLS.get(f"{module}.{name}".replace("numpy._core", "numpy.core"))  # NumPy 2 and 1
    if call is None:
        raise DataError(f"the pickle asks for {module:.40}.{name:.40}, which is no array; refused, nothing was run")
    return call


def _blank_array(_raw: Raw, _type: Any, _shape: Any, _code: Any) -> Unfinished:
    return Unfinished(_filled_array)


def _filled_array(raw: Raw, state: Any) -> NDArray[Any]:
    _version, shape, dtype, is_fortran, content = state
    return _array(raw(content), dtype, shape, "F" if is_fortran else "C")


def _array_of_buffer(raw: Raw, content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    return _array(raw(content), dtype, shape, order)


def _number(raw: Raw, dtype: Any, content: Any) -> Any:
    return _array(raw(content), dtype, (), "C")[()]


def _array(content: memoryview, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple) or len(shape) > _MAX_DIMS:
        raise DataError("an array in the pickle is none of numbers; refused")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise DataError("an array in the pickle has no shape; refused")
    if prod(shape) * dtype.itemsize != len(content):
        raise DataError(f"an array of shape {shape} and {len(content):,} bytes do not fit together; copy it again")
    return np.ndarray(shape, dtype, buffer=content, order="F" if order == "F" else "C")


def _dtype(_raw: Raw, code: Any, _align: Any, _copy: Any) -> Unfinished:
    if type(code) is not str or not _NUMBERS.fullmatch(code):
        raise DataError(f"the pickle holds an array of {_spelled(code)}, not of numbers; refused")
    return Unfinished(lambda _, state: _in_byte_order(np.dtype(code), state))


def _in_byte_order(dtype: np.dtype[Any], state: Any) -> np.dtype[Any]:
    _version, order, subarray, names, fields = state[:5]
    if not subarray is names is fields is None:  # of structured dtypes
        raise DataError("the pickle holds an array of records, not of numbers; refused")
    if order not in _BYTE_ORDERS:
        raise DataError("the pickle holds an array of an unknown byte order; refused")
    return dtype.newbyteorder(order)


def _encoded(raw: Raw, text: Any, codec: Any) -> bytes:
    """How Python 3 writes bytes into old pickles. Other codecs can expand a few bytes without bound."""
    if type(codec) is not str or codec != "latin1":
        raise DataError(f"the pickle asks for the codec {_spelled(codec)}; refused")
    return bytes(raw(text))


def _empty_bytes(_raw: Raw) -> bytes:
    return b""


def _spelled(value: Any) -> str:
    """For messages. The `repr` of a list that holds another twice, which holds another twice ... has no end."""
    return repr(value[:40]) if type(value) is str else f"a {type(value).__name__}"


def _never_called(*_: Any) -> Any:
    raise DataError("the pickle asks for an array of its own making; refused, nothing was run")


_CALLS: Mapping[str, Call] = {
    "numpy.ndarray": Call(_never_called),  # the type that `_reconstruct` is told
    "numpy.dtype": Call(_dtype),
    "numpy.core.multiarray._reconstruct": Call(_blank_array),
    "numpy.core.multiarray.scalar": Call(_number),
    "numpy.core.numeric._frombuffer": Call(_array_of_buffer),
    "_codecs.encode": Call(_encoded),
    "builtins.bytes": Call(_empty_bytes),
    "__builtin__.bytes": Call(_empty_bytes),  # Python 2
}
