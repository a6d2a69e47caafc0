import numpy as np
import pytest

from alexnet.data.datasets import open_data
from alexnet.data.splits import ArraySplit, ClassInfo, DataSet, EncodedSplit
from alexnet.data.subset import choose, hash_order, subset
from alexnet.errors import DataError

NUM_IMAGES, NUM_CLASSES = 60, 5


@pytest.fixture
def dataset() -> DataSet:
    """Images whose every pixel is their place in the split; labels 0, 1, ... 4, 0, 1, ..."""
    places = np.arange(NUM_IMAGES, dtype=np.uint8)
    images = np.broadcast_to(places[:, None, None, None], (NUM_IMAGES, 2, 2, 3))
    names = tuple(f"image {place}" for place in places)
    split = ArraySplit(images, (places % NUM_CLASSES).astype(np.int64), names)
    classes = tuple(ClassInfo(index, name) for index, name in enumerate("abcde"))
    return DataSet(name="letters", classes=classes, splits={"train": split, "val": split}, fingerprint="x")


def test_classes_are_numbered_anew_in_the_order_given(dataset: DataSet) -> None:
    part = subset(dataset, [4, 1])
    assert part.name == "letters-2-classes"
    assert [(info.index, info.name) for info in part.classes] == [(0, "e"), (1, "b")]
    for split in part.splits.values():
        assert len(split) == 24
        for index in range(len(split)):
            place = int(np.asarray(split.image(index))[0, 0, 0])
            assert split.paths[index] == f"image {place}"
            assert {4: 0, 1: 1}[place % NUM_CLASSES] == split.labels[index]


def test_so_many_training_images_a_class_drawn_by_the_seed(dataset: DataSet) -> None:
    few = [subset(dataset, [0, 2, 3], train_per_class=4, seed=seed) for seed in (0, 0, 1)]
    first, again, other = [part.split("train").paths for part in few]
    assert np.bincount(few[0].split("train").labels).tolist() == [4, 4, 4]
    assert first == again
    assert first != other
    assert few[0].fingerprint == few[1].fingerprint != few[2].fingerprint
    assert few[0].name == "letters-3-classes-4-images-0"
    assert len(few[0].split("val")) == 36


def test_all_are_taken_where_there_are_fewer_than_asked_for(dataset: DataSet) -> None:
    part = subset(dataset, [0, 1], train_per_class=99)
    assert len(part.split("train")) == 24
    assert list(part.split("train").indices) == sorted(part.split("train").indices)


def test_a_split_without_such_images_is_refused(dataset: DataSet) -> None:
    lonely = ArraySplit(np.zeros((2, 2, 2, 3), np.uint8), np.zeros(2, np.int64), ("x", "y"))
    with pytest.raises(DataError, match="letters val has no images of the 2 classes"):
        subset(DataSet("letters", dataset.classes, {"train": dataset.split("train"), "val": lonely}, "x"), [1, 2])
    with pytest.raises(DataError, match="at least two"):
        subset(dataset, [1])


def test_the_order_by_hash_depends_on_names_alone() -> None:
    names = [f"n{number}" for number in range(50)]
    classes = [ClassInfo(index, "a word", wnid) for index, wnid in enumerate(names)]
    order = [classes[index].wnid for index in hash_order(classes)]
    turned = [ClassInfo(index, "another", wnid) for index, wnid in enumerate(reversed(names))]
    assert [turned[index].wnid for index in hash_order(turned)] == order
    assert order != names
    assert sorted(order) == sorted(names)
    assert order[:5] == ["n34", "n2", "n26", "n23", "n8"]  # must never change


def test_files_are_passed_on_where_the_whole_has_them(tmp_path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(30):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / name / f"{number:02d}.png")
    split = open_data(tmp_path).split("train")
    part = choose(split, np.array([5, 2]))
    assert isinstance(part, EncodedSplit)
    assert [part.encoded(0), part.encoded(1)] == [split.encoded(5), split.encoded(2)]
    assert list(part.labels) == [split.labels[5], split.labels[2]]


def test_without_files_none_are_promised(dataset: DataSet) -> None:
    assert not isinstance(choose(dataset.split("train"), np.array([0])), EncodedSplit)
