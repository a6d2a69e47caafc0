import random
import re

import pytest

from alexnet.data.layout import Layout, TreeShape
from alexnet.errors import DataError


def layout(*paths: str) -> Layout:
    """Of paths in any order."""
    shape = TreeShape()
    for path in random.Random(0).sample(paths, len(paths)):
        shape.see(path)
    return shape.layout({number: f"wnid-{number}" for number in range(1, shape.highest_flat + 1)})


@pytest.mark.parametrize(
    ("paths", "places"),
    [
        (["cat/1.jpg", "dog/a/b/2.jpg"], [("train", "cat"), ("train", "dog")]),
        (["train/cat/1.jpg", "val/dog/2.jpg"], [("train", "cat"), ("val", "dog")]),
        (["photos/train/cat/1.jpg", "photos/test/dog/x/2.jpg"], [("train", "cat"), ("test", "dog")]),
        (["photos/cat/1.jpg", "photos/dog/2.jpg"], [("train", "cat"), ("train", "dog")]),
        (["train/cat/1.jpg", "valid/cat/1.jpg", "x.jpg"], [("train", "cat"), ("val", "cat"), None]),
        (["Train/cat/1.jpg", "TEST/dog/1.jpg"], [("train", "cat"), ("test", "dog")]),
        (["training/cat/1.jpg", "Validation/cat/1.jpg"], [("train", "cat"), ("val", "cat")]),
        (["Test/train/cat/1.jpg", "Test/val/cat/1.jpg"], [("train", "cat"), ("val", "cat")]),
        (["train/bus/a/1.jpg", "train/train/a/2.jpg"], [("train", "bus"), ("train", "train")]),
        (["cat/1.jpg", "loose.jpg"], [("train", "cat"), None]),
        (["val/cat/1.jpg", "val/dog/1.jpg"], [("val", "cat"), ("val", "dog")]),
        (["val/cat/1.jpg", "test/cat/1.jpg"], [("val", "cat"), ("test", "cat")]),
        (["only/1.jpg", "only/2.jpg"], [("train", "only"), ("train", "only")]),
        # vehicles: `train` is a class where no folders are below it
        (["bus/1.jpg", "train/1.jpg"], [("train", "bus"), ("train", "train")]),
        (["cat/train/1.jpg", "dog/train/1.jpg"], [("train", "cat"), ("train", "dog")]),
    ],
)
def test_folders_say_split_and_class(paths: list[str], places: list[tuple[str, str] | None]) -> None:
    found = layout(*paths)
    assert [found.place(path) for path in paths] == places


FLAT = "ILSVRC2012_val_00000002.JPEG"


@pytest.mark.parametrize("front", ["", "ILSVRC/Data/CLS-LOC/", "imagenet/"])
def test_flat_validation_images_are_known_by_their_numbers(front: str) -> None:
    train, val, test = (
        f"{front}train/n01440764/1.JPEG",
        f"{front}val/{FLAT}",
        f"{front}test/ILSVRC2012_test_00000001.JPEG",
    )
    found = layout(train, val, test)
    assert [found.place(path) for path in (train, val, test)] == [("train", "n01440764"), ("val", "wnid-2"), None]
    assert found.meaning(train) == "train/n01440764/1.JPEG"


def test_flat_images_of_other_names_have_no_class() -> None:
    found = layout("train/cat/1.jpg", "train/dog/1.jpg", "val/1.jpg")
    assert found.place("val/1.jpg") is None


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["bus/a/1.jpg", "car/a/1.jpg", "train/a/1.jpg"], "is train/ a split or a class? bus/ beside it is no split"),
        (["train/cat/1.jpg", "val/cat/1.jpg", "extra/cat/1.jpg"], "is train/ a split or a class? extra/ beside it"),
        (["cat/1.jpg", "Test/cat/1.jpg"], "is Test/ a split or a class? cat/ beside it"),
        (["train/cat/1.jpg", "val/cat/1.jpg", "valid/cat/1.jpg"], "val/ and valid/ both mean val"),
    ],
)
def test_what_could_mean_two_things_is_refused(paths: list[str], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        layout(*paths)
