"""torchvision's names of AlexNet's parameters, and the names of our rows. Standard library only.

Source: torchvision models/alexnet.py.
"""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

ROWS = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}

_WRAPPED = "module."  # what DataParallel puts before the names of what it wraps, a part of the net or all of it


def rename(state_dict: Mapping[str, Value]) -> dict[str, Value]:
    """`state_dict` under our keys: `features.0.weight` becomes `conv1.weight`. Other keys stay as they are."""
    return {_renamed(key.replace(_WRAPPED, "")): value for key, value in state_dict.items()}


def _renamed(key: str) -> str:
    row, _, part = key.rpartition(".")
    return f"{ROWS[row]}.{part}" if row in ROWS else key
