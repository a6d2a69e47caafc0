from contextlib import suppress

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.interop.caffe.mean import read_mean_image, write_mean_image
from alexnet.interop.protobuf import write_block, write_integers

IMAGE = np.random.default_rng(0).uniform(0, 255, (3, 5, 7)).astype(np.float32)


def test_a_mean_image_comes_back_where_it_lies() -> None:
    content = write_mean_image(IMAGE)
    found = read_mean_image(content)
    np.testing.assert_array_equal(found, IMAGE)
    assert np.shares_memory(found, np.frombuffer(content, np.uint8))


def test_a_shape_of_three_sides_will_do() -> None:
    shape = b"".join(map(bytes, write_block(7, [write_integers(1, IMAGE.shape)])))
    numbers = b"".join(map(bytes, write_block(5, [IMAGE.tobytes()])))
    np.testing.assert_array_equal(read_mean_image(shape + numbers), IMAGE)


@pytest.mark.parametrize("shape", [(1, 5, 21), (105,), (3, 35)])
def test_anything_else_is_no_mean_image(shape: tuple[int, ...]) -> None:
    said = b"".join(map(bytes, write_block(7, [write_integers(1, shape)])))
    with pytest.raises(InputError, match="a mean image is of three channels"):
        read_mean_image(said + b"".join(map(bytes, write_block(5, [IMAGE.tobytes()]))))


def test_cut_and_spoiled_files_never_do_worse_than_an_error() -> None:
    content, rng = write_mean_image(IMAGE), np.random.default_rng(0)
    for stop in range(len(content)):
        with pytest.raises(InputError):
            read_mean_image(content[:stop])
    for _ in range(300):
        spoiled = np.frombuffer(content, np.uint8).copy()
        spoiled[rng.integers(14, size=2)] = rng.integers(0, 256, 2)
        with suppress(InputError):
            read_mean_image(spoiled.tobytes())
