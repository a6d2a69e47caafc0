"""torchvision's names of AlexNet's parameters, and the names of our rows. Standard library only.

Source: torchvision models/alexnet.py.
"""

from collections.abc import Mapping
from typing import TypeVar

from alexnet.arch.layers import TORCHVISION_MODULES
from alexnet.arch.rows import Weighted
from alexnet.arch.variants import ONE_WEIRD_TRICK

Value = TypeVar("Value")

# Of the modules that have parameters.
ROWS: Mapping[str, str] = {
    module: row for module, row in TORCHVISION_MODULES.items() if isinstance(ONE_WEIRD_TRICK[row], Weighted)
}
MODULES: Mapping[str, str] = {row: module for module, row in ROWS.items()}

_WRAPPED = "module."  # what DataParallel puts before the names of what it wraps, a part of the net or all of it


def rename(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """`state_dict` under our keys: `features.0.weight` becomes `conv1.weight`. Other keys stay as they are."""
    return {_renamed(key.replace(_WRAPPED, ""), ROWS): value for key, value in state_dict.items()}


def to_torchvision(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """`tensors` under torchvision's keys: the inverse of `rename`."""
    return {_renamed(key, MODULES): value for key, value in tensors.items()}


def _renamed(key: str, names: Mapping[str, str]) -> str:
    row, _, part = key.rpartition(".")
    return f"{names[row]}.{part}" if row in names else key
