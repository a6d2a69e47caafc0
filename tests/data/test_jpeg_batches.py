import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.datasets import open_data
from alexnet.data.images import open_image
from alexnet.errors import DataError, ImageError

NAMES = ["tench", "goldfish", "white shark"]
LABELS = [2, 0, 1]


def write(path: Path, value: object) -> None:
    """As Python 2 wrote them: byte strings of a batch as they are."""
    path.write_bytes(pickle.dumps(value, protocol=3))


@pytest.fixture(scope="module")
def files(encoded):
    return [encoded("jpeg", height=20 + seed, seed=seed) for seed in range(3)]


FORMS = {
    "release of 2012": lambda files: (files, [(375, 500)] * 3, [("n01440764", label) for label in LABELS]),
    "its repaired batches": lambda files: (files, LABELS, ["n01440764"] * 3),
    "cuda-convnet2": lambda files: {"data": files, "labels": [[label] for label in LABELS]},
}


@pytest.fixture(params=FORMS)
def batches(request, tmp_path, files):
    write(tmp_path / "batches.meta", {"label_names": NAMES, "num_vis": 3 * 256 * 256})
    for number in (1, 2, 2000):
        write(tmp_path / f"data_batch_{number}", FORMS[request.param](files))
    return tmp_path


def test_images_of_every_form_are_those_that_went_in(batches, files):
    data = open_data(batches)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "val": 3}
    train = data.split("train")
    np.testing.assert_array_equal(train.labels, LABELS * 2)
    assert train.paths[4] == "data_batch_2/00001"
    for index in range(6):
        np.testing.assert_array_equal(np.asarray(train.image(index)), np.asarray(open_image(files[index % 3])))


def test_images_are_read_when_asked_for_by_any_process_and_thread(batches, files):
    split = pickle.loads(pickle.dumps(open_data(batches).split("train")))
    assert split.image(0).size == (28, 20)
    with ThreadPoolExecutor(4) as pool:
        heights = [image.height for image in pool.map(split.image, list(range(6)) * 5)]
    assert heights == [20, 21, 22] * 10
    (batches / "data_batch_1").unlink()
    assert split.image(5).height == 22
    with pytest.raises(ImageError, match=r"data_batch_1/00002: cannot be read"):
        split.image(2)


def test_test_images_without_a_class_have_label_0(tmp_path, files):
    write(tmp_path / "batches.meta", {"label_names": NAMES})
    write(tmp_path / "data_batch_3000", (files, [(1, 1)] * 3, [("", None)] * 3))
    np.testing.assert_array_equal(open_data(tmp_path).split("test").labels, [0, 0, 0])


def test_a_damaged_file_in_a_batch_is_named(tmp_path, files):
    write(tmp_path / "batches.meta", {"label_names": NAMES})
    write(tmp_path / "data_batch_1", {"data": [files[0], files[1][:500], b"x" * 300], "labels": LABELS})
    split = open_data(tmp_path).split("train")
    split.image(0)
    for index in (1, 2):
        with pytest.raises(ImageError, match=f"data_batch_1/0000{index}: "):
            split.image(index)


def test_batches_that_do_not_fit_are_one_line(tmp_path, files):
    write(tmp_path / "batches.meta", {"label_names": NAMES})
    cases = {
        "3 images and 2 labels": {"data": files, "labels": [[0], [1]]},
        "expected whole JPEG files as binary strings": {"data": [*files[:2], "a name"], "labels": LABELS},
        "labels that are no class numbers": (files, [(1, 1)] * 3, [("n01440764",)] * 3),
        "not a batch": (files, LABELS),
    }
    for reason, batch in cases.items():
        write(tmp_path / "data_batch_1", batch)
        with pytest.raises(DataError, match=f"data_batch_1: .*{reason}"):
            open_data(tmp_path)
    write(tmp_path / "data_batch_1", {"data": files, "labels": LABELS})
    write(tmp_path / "data_batch_2", {"data": np.zeros((3, 3072), np.uint8), "labels": LABELS})
    with pytest.raises(DataError, match=r"data_batch_2 holds pixels and .*data_batch_1 JPEG files"):
        open_data(tmp_path)
