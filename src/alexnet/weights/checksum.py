"""CRC-32 of what is kept, against accidents and not against malice: eight hexadecimal digits."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import WeightsError
from alexnet.weights.check import list_names

_ROWS_PER_BLOCK = 64


def checksum(tensor: NDArray[np.float32]) -> str:
    """Of the values as little-endian float32 in C order; it costs less than reading the file."""
    crc = 0
    for start in range(0, len(tensor), _ROWS_PER_BLOCK):
        rows = tensor[start : start + _ROWS_PER_BLOCK]
        if not rows.flags.c_contiguous:
            rows = rows.copy("K")  # gathered as they lie and then turned, in the cache: a third of the time
        crc = zlib.crc32(np.ascontiguousarray(rows, "<f4").data, crc)
    return _hex(crc)


def checksum_of_json(value: Any) -> str:
    """Of a plain value as JSON in one spelling: keys in order, no blanks, ASCII."""
    return _hex(zlib.crc32(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()))


def check_checksums(tensors: Mapping[str, NDArray[np.float32]], known: Mapping[str, str]) -> None:
    """Refuse tensors that have not the checksum that is `known` of them, where one is.

    Raises:
        WeightsError: names them.
    """
    if changed := [key for key, tensor in tensors.items() if key in known and checksum(tensor) != known[key]]:
        raise WeightsError(f"{list_names(changed)} not as saved (CRC-32); copy the file again")


def _hex(number: int) -> str:
    return f"{number:08x}"
