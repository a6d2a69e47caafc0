import os
import pickle

import numpy as np
import pytest

from alexnet.data.datasets import open_data
from alexnet.data.pickles import load_pickle
from alexnet.errors import DataError

NAMES = ["airplane", "automobile", "bird"]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3072), np.uint8)
LABELS = [0, 1, 2, 1]


def write(path, value):
    path.write_bytes(pickle.dumps(value, protocol=2))


@pytest.fixture
def published(tmp_path):
    """cifar-10-batches-py: images in rows."""
    write(tmp_path / "batches.meta", {"label_names": NAMES, "num_vis": 3072})
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        write(tmp_path / name, {"data": PIXELS[number], "labels": LABELS})
    return tmp_path


@pytest.fixture
def column_major(tmp_path):
    """cuda-convnet's cifar-10-py-colmajor: images in columns, batch 6 is the test set."""
    folder = tmp_path / "columns"
    folder.mkdir()
    write(folder / "batches.meta", {"label_names": NAMES, "num_vis": 3072})
    for number in range(6):
        write(folder / f"data_batch_{number + 1}", {"data": np.asfortranarray(PIXELS[number].T), "labels": LABELS})
    return folder


def test_both_layouts_are_the_same_images(published, column_major):
    for data in (open_data(published), open_data(column_major)):
        assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "test": 4}
        assert [info.name for info in data.classes] == NAMES
        assert data.split("train").paths[5] == "data_batch_2/00001"
        image = np.asarray(data.split("train").image(5))
        np.testing.assert_array_equal(image.transpose(2, 0, 1).ravel(), PIXELS[1, 1])
        np.testing.assert_array_equal(data.split("test").labels, LABELS)


def test_batch_numbers_of_the_imagenet_files_are_their_splits(column_major):
    (column_major / "data_batch_6").rename(column_major / "data_batch_2000")
    (column_major / "data_batch_5").rename(column_major / "data_batch_3000")
    lengths = {name: len(split) for name, split in open_data(column_major).splits.items()}
    assert lengths == {"train": 16, "val": 4, "test": 4}


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_pickle_is_refused_and_not_executed(published):
    trap = published / "executed"
    write(published / "data_batch_3", {"data": Hostile(trap), "labels": LABELS})
    with pytest.raises(DataError, match=r"data_batch_3: the pickle asks for \w+.mkdir, which is no array; refused"):
        open_data(published)
    assert not trap.exists()


def test_codecs_that_expand_without_bound_are_refused(tmp_path):
    (tmp_path / "p").write_bytes(b"c_codecs\nencode\n(Vtext\nVzip\ntR.")
    with pytest.raises(DataError, match="refused codec 'zip'"):
        load_pickle(tmp_path / "p")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_numbers_and_bytes_of_every_protocol_are_read(tmp_path, protocol):
    values = {"array": PIXELS[0], "number": np.float32(0.5), "bytes": b"\xff\0", "list": [1, "two", None]}
    (tmp_path / "p").write_bytes(pickle.dumps(values, protocol=protocol))
    loaded = load_pickle(tmp_path / "p")
    np.testing.assert_array_equal(loaded["array"], values["array"])
    assert loaded["number"] == 0.5
    assert loaded["list"] == values["list"]


def test_pickles_of_python_2_with_the_old_numpy_address_are_read(tmp_path):
    content = pickle.dumps(PIXELS[0], protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "p").write_bytes(content)
    np.testing.assert_array_equal(load_pickle(tmp_path / "p"), PIXELS[0])


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ({"labels": LABELS}, "expected a dict with data and labels"),
        ({"data": PIXELS[0, :, :3000], "labels": LABELS}, "3000 values an image are not three square planes"),
        ({"data": PIXELS[0], "labels": LABELS[:3]}, "expected uint8 pixels of 3 images"),
        ({"data": PIXELS[0].astype(np.float32), "labels": LABELS}, "expected uint8 pixels"),
        ({"data": ["jpeg"], "labels": [0]}, "found list"),
        ({"data": PIXELS[0], "labels": [0, 1, 2, 3]}, "label 3 is outside the 3 classes"),
    ],
)
def test_batches_of_other_shapes_are_refused_by_name(published, batch, reason):
    write(published / "data_batch_2", batch)
    with pytest.raises(DataError, match=f"data_batch_2.*{reason}"):
        open_data(published)


def test_cut_and_missing_batches_are_one_line(published):
    whole = (published / "test_batch").read_bytes()
    (published / "test_batch").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"test_batch: not a whole pickle .*copy it again"):
        open_data(published)
    for path in published.glob("*_batch*"):
        path.unlink()
    with pytest.raises(DataError, match=r"no data_batch_1"):
        open_data(published)
    write(published / "batches.meta", ["no", "meta"])
    with pytest.raises(DataError, match="no label_names"):
        open_data(published)
