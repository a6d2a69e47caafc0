import zlib

import numpy as np
import pytest

from alexnet.errors import WeightsError
from alexnet.weights.checksum import check_checksums, checksum, checksum_of_json


@pytest.mark.parametrize("shape", [(5,), (100, 7), (4, 3, 5, 5)])
def test_a_checksum_is_that_of_the_bytes_however_they_lie_in_memory(shape: tuple[int, ...]) -> None:
    tensor = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = f"{zlib.crc32(tensor.tobytes()):08x}"
    assert checksum(tensor) == checksum(np.asfortranarray(tensor)) == checksum(tensor[::-1].copy()[::-1]) == expected
    assert checksum(tensor.T) == f"{zlib.crc32(tensor.T.tobytes()):08x}"


def test_the_spelling_of_plain_values_does_not_matter() -> None:
    assert checksum_of_json({"b": (1, 2.5), "a": None}) == checksum_of_json({"a": None, "b": [1, 2.5]})
    assert checksum_of_json({"a": 1}) != checksum_of_json({"a": 2})


def test_changed_tensors_are_named_and_those_without_a_checksum_pass() -> None:
    ones, twos = np.ones(3, np.float32), np.full(3, 2, np.float32)
    check_checksums({"a": ones, "b": twos}, {"a": checksum(ones)})
    with pytest.raises(WeightsError, match=r"b not as saved \(CRC-32\); copy the file again"):
        check_checksums({"a": ones, "b": twos}, {"a": checksum(ones), "b": checksum(ones)})
