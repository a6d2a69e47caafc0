import os
import pickle
import time
import tracemalloc

import numpy as np
import pytest

from alexnet.data.datasets import open_data
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


@pytest.mark.parametrize(
    "labels",
    [
        tuple(LABELS),
        np.array(LABELS),
        np.float32([LABELS]),
        np.array([LABELS], np.uint8).T,
        [[label] for label in LABELS],
    ],
    ids=["tuple", "array", "float row", "column", "lists"],
)
def test_labels_of_every_form_are_read(published, labels):
    write(published / "test_batch", {"data": PIXELS[5], "labels": labels})
    np.testing.assert_array_equal(open_data(published).split("test").labels, LABELS)


@pytest.mark.parametrize(
    "labels", [[0.5, 1, 2, 1], [None] * 4, ["a"] * 4, [[0], [1, 2], [], [1]], np.float32([np.nan] * 4), 3]
)
def test_labels_that_are_no_numbers_of_classes_are_refused(published, labels):
    write(published / "test_batch", {"data": PIXELS[5], "labels": labels})
    with pytest.raises(
        DataError, match=r"test_batch: (labels that are no class numbers|expected uint8 pixels of 1 images)"
    ):
        open_data(published)


def test_the_offset_of_the_meta_file_is_added_to_labels(published):
    write(published / "batches.meta", {"label_names": NAMES, "label_offset": -1})
    for batch in published.glob("*_batch*"):
        write(batch, {"data": PIXELS[0], "labels": [label + 1 for label in LABELS]})
    np.testing.assert_array_equal(open_data(published).split("test").labels, LABELS)
    before = open_data(published).fingerprint
    write(published / "batches.meta", {"label_names": NAMES, "label_offset": 0})
    with pytest.raises(DataError, match="label 3 is outside the 3 classes"):
        open_data(published)
    for offset in (1.5, "one"):
        write(published / "batches.meta", {"label_names": NAMES, "label_offset": offset})
        with pytest.raises(DataError, match=r"batches\.meta: label_offset is"):
            open_data(published)
    write(published / "batches.meta", {"label_names": [*NAMES, "cat"], "label_offset": 0})
    assert open_data(published).fingerprint != before


def doubling(depth):
    """A list that holds another twice, which holds another twice ...; its pickle has ten bytes a level."""
    value = []
    for _ in range(depth):
        value = [value, value]
    return value


def refused_cheaply(folder):
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            open_data(folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 4
    return str(caught.value)


DEEP = b")" + b"\x85" * 20_000  # a tuple in a tuple in a tuple ..., which pickle cannot write


@pytest.mark.parametrize(
    "offset", [pickle.dumps(value, 2)[2:-1] for value in (doubling(24), 2**70, -(10**400), 0.5)] + [DEEP]
)
def test_an_offset_of_any_size_and_depth_is_one_line(published, offset):
    content = b"\x80\2}(U\x0blabel_names](U\1aU\1beU\x0clabel_offset" + offset + b"u."
    (published / "batches.meta").write_bytes(content)
    assert refused_cheaply(published) == (
        f"{published / 'batches.meta'}: label_offset is no number to add to labels; copy it again"
    )


@pytest.mark.parametrize(
    "labels",
    [
        doubling(24),
        [doubling(24)] * 4,
        [[doubling(24)]] * 4,
        [10**400] * 4,
        [2**70] * 4,
        [PIXELS[0]] * 4,
        [(PIXELS[0], PIXELS[0])] * 4,
        ["0"] * 4,
        {0: 1},
    ],
)
def test_labels_of_any_size_and_depth_are_one_line(published, labels):
    for batch in ({"data": PIXELS[5], "labels": labels}, (["x"] * 4, [None] * 4, labels)):
        write(published / "test_batch", batch)
        assert "test_batch: " in refused_cheaply(published)
    deep = b"\x80\2}(U\4dataNU\6labels" + DEEP + b"u."
    (published / "test_batch").write_bytes(deep)
    assert "labels that are no class numbers" in refused_cheaply(published)


def test_names_in_latin_1_are_read(published):
    python_2 = b"\x80\x02}U\x0blabel_names](U\x04caf\xe9U\x03th\xe9U\x04chates."
    (published / "batches.meta").write_bytes(python_2)
    assert [info.name for info in open_data(published).classes] == ["café", "thé", "chat"]


@pytest.mark.parametrize("folder", ["", "data_batch_{}/"], ids=["side by side", "in a folder each"])
def test_parts_of_batches_are_read_in_the_order_of_their_numbers(tmp_path, folder):
    write(tmp_path / "batches.meta", {"label_names": NAMES})
    for number in (0, 2, 10, 1001):
        for part in (0, 1, 10):
            path = tmp_path / folder.format(number) / f"data_batch_{number}.{part}"
            path.parent.mkdir(exist_ok=True)
            write(path, {"data": PIXELS[part % 6], "labels": LABELS})
    data = open_data(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 36, "val": 12}
    assert [path.split("/")[0].removeprefix("data_batch_") for path in data.split("train").paths[::4]] == [
        *("0.0", "0.1", "0.10", "2.0", "2.1", "2.10", "10.0", "10.1", "10.10")
    ]


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ({"labels": LABELS}, "expected a dict with data and labels"),
        ({"data": PIXELS[0, :, :3000], "labels": LABELS}, "3000 values an image are not three square planes"),
        ({"data": PIXELS[0], "labels": LABELS[:3]}, "expected uint8 pixels of 3 images"),
        ({"data": PIXELS[0].astype(np.float32), "labels": LABELS}, "expected uint8 pixels"),
        ({"data": ["jpeg"], "labels": [0]}, "expected whole JPEG files"),
        (("data", [0], [0]), "expected a dict with data and labels"),
        ({"data": PIXELS[0, :, :1200], "labels": LABELS}, "batches of images of different sizes"),
        ({"data": PIXELS[0], "labels": [0, 1, 2, 3]}, "label 3 is outside the 3 classes"),
    ],
)
def test_batches_of_other_shapes_are_refused_by_name(published, batch, reason):
    write(published / "data_batch_2", batch)
    with pytest.raises(DataError, match=f"(data_batch_2)?.*{reason}"):
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
