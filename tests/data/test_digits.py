import sys

import numpy as np
import pytest

from alexnet.data.datasets import open_data
from alexnet.errors import MissingExtraError


def test_digits_are_split_the_same_way_every_time_over_all_classes():
    pytest.importorskip("sklearn")
    data, again = open_data("digits"), open_data("digits")
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (1438, 359)
    assert not set(train.paths) & set(test.paths)
    assert again.split("test").paths == test.paths
    assert np.bincount(test.labels).min() >= 34
    assert len(set(train.labels[:50])) == 10  # shuffled
    pixels = np.asarray(train.image(0))
    assert pixels.shape == (8, 8, 3)
    assert max(np.asarray(train.image(index)).max() for index in range(20)) == 255


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"alexnet\[demo\]"):
        open_data("digits")
