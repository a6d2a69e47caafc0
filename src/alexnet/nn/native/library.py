"""Which kernels there are, and how Python calls them."""

import os
from ctypes import CDLL, c_bool, c_float, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.nn.native.compiler import CannotCompileError, load_compiled

SWITCH = "ALEXNET_NATIVE"  # 0 turns the kernels off

SOURCES = Path(__file__).parent
DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

# Of each function in kernels.cpp, the types of its arguments: t a tensor or None, i an integer, f a number.
SIGNATURES = {
    "across_maps": "tttiiiifff",
    "in_same_map": "tttiiiiifff",
    "pool_forward": "tttiiiiiiii",
    "pool_backward": "tttiiiiiiii",
    "normalize": "tttttiif",
}
_TYPES: dict[str, Any] = {"t": c_void_p, "i": c_int64, "f": c_float}


class Kernels:
    """The functions of `kernels.cpp`. They trust their caller: tensors are dense, of the dtypes and sizes it says."""

    def __init__(self, library: CDLL) -> None:
        self._functions = {}
        for name, signature in SIGNATURES.items():
            for dtype, suffix in DTYPES.items():
                function = library[f"{name}_{suffix}"]
                function.argtypes, function.restype = [_TYPES[letter] for letter in signature], c_bool
                self._functions[name, dtype] = function

    def __call__(self, name: str, dtype: torch.dtype, *arguments: Tensor | float | None) -> None:
        """Run the kernel `name` for numbers of `dtype`; what it makes goes into one of its arguments.

        Raises:
            MemoryError: there is none left for what it needs besides.
        """
        values = (value.data_ptr() if isinstance(value, Tensor) else value for value in arguments)
        if not self._functions[name, dtype](*values):
            raise MemoryError(f"out of memory in {name}; use a smaller batch")


@cache
def _load() -> Kernels | str:
    """The kernels, or why there are none."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0 turns them off"
    try:
        return Kernels(load_compiled(SOURCES))
    except CannotCompileError as error:
        return str(error)
    except AttributeError as error:
        return f"another library stands in their place ({error})"


def kernels() -> Kernels | None:
    """The kernels, compiled when they are first asked for; None where that is impossible."""
    found = _load()
    return found if isinstance(found, Kernels) else None


def why_not() -> str | None:
    """Why there are no kernels, in one line; None where there are."""
    found = _load()
    return found if isinstance(found, str) else None


def kernels_for(x: Tensor) -> Kernels | None:
    """The kernels, where they can compute with a tensor of this device and dtype."""
    return kernels() if x.device.type == "cpu" and x.dtype in DTYPES and x.numel() else None
