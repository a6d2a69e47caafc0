from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import WeightsError
from alexnet.weights.stored import MappedFile, StoredTensors


@pytest.fixture
def file(tmp_path: Path) -> MappedFile:
    path = tmp_path / "tensors"
    path.write_bytes(bytes(8) + np.arange(6, dtype="<f4").tobytes() + np.array([3, -4], np.int8).tobytes())
    return MappedFile(path)


@pytest.fixture
def tensors(file: MappedFile) -> StoredTensors:
    views = {
        "plain": np.frombuffer(file.content[8:32], "<f4").reshape(2, 3),
        "whole": np.frombuffer(file.content[32:], np.int8).reshape(2, 1),
        "whole.scale": np.array([0.5, 0.25], np.float32),
    }
    return StoredTensors(file, ("plain", "whole"), views)


def test_views_are_the_files_own_pages_and_values_are_ones_own(tensors: StoredTensors) -> None:
    assert not tensors.views["plain"].flags.writeable
    plain = tensors["plain"]
    plain[:] += 1
    np.testing.assert_array_equal(tensors["plain"], np.arange(1, 7).reshape(2, 3))  # read once
    np.testing.assert_array_equal(tensors.views["plain"], np.arange(6).reshape(2, 3))


def test_whole_numbers_are_multiplied_by_their_scales(tensors: StoredTensors) -> None:
    np.testing.assert_array_equal(tensors["whole"], np.array([[1.5], [-1.0]], np.float32))
    assert tensors.is_quantized
    assert not StoredTensors(tensors.file, ("plain",), tensors.views).is_quantized


def test_only_keys_count_as_tensors(tensors: StoredTensors) -> None:
    assert (list(tensors), len(tensors), "whole.scale" in dict(tensors)) == (["plain", "whole"], 2, False)
    with pytest.raises(KeyError):
        tensors["nothing"]


def test_a_view_knows_its_place_and_pages_let_go_come_again(tensors: StoredTensors) -> None:
    assert tensors.file.offset(tensors.views["plain"]) == 8
    assert tensors.file.offset(tensors.views["whole.scale"]) is None
    tensors.file.let_go()
    assert tensors.views["plain"][1, 2] == 5


def test_a_file_that_cannot_be_mapped_says_why(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        MappedFile(tmp_path / "nothing")
    (tmp_path / "empty").touch()
    with pytest.raises(WeightsError, match="an empty file"):
        MappedFile(tmp_path / "empty")


def test_a_file_knows_that_another_has_taken_its_place(file: MappedFile, tensors: StoredTensors) -> None:
    assert not file.is_replaced
    other = file.path.with_name("other")
    other.write_bytes(bytes(34))
    other.replace(file.path)
    assert file.is_replaced
    np.testing.assert_array_equal(tensors["plain"], np.arange(6).reshape(2, 3))
    file.path.unlink()
    assert file.is_replaced


def test_scales_are_stored_with_what_they_belong_to(tensors: StoredTensors) -> None:
    assert list(tensors.stored) == ["plain", "whole", "whole.scale"]
