import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.data.ilsvrc import (
    DEVKIT,
    GROUND_TRUTH,
    KAGGLE_SOLUTION,
    NUM_VALIDATION,
    imagenet_classes,
    order_classes,
    read_ground_truth,
)
from alexnet.errors import DataError, InputError

SORTED = [0, 1, 2, 2, 1, 0]  # of the six validation images of the fixture, by WordNet id


def test_the_thousand_classes_are_in_both_orders() -> None:
    known = imagenet_classes()
    assert list(known) == sorted(known)
    assert sorted(each.ilsvrc_id for each in known.values()) == list(range(1, 1001))
    by_devkit = list(order_classes(known, "devkit", "x"))
    assert [known[info.wnid].ilsvrc_id for info in by_devkit] == [info.index + 1 for info in by_devkit]
    assert by_devkit[0].name.startswith("kit fox")  # ILSVRC2012_ID 1
    assert next(order_classes(known, "sorted", "x")).name.startswith("tench")


def test_flat_validation_images_have_the_labels_of_their_lines(imagenet) -> None:
    data = open_data(imagenet())
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 12, "val": 6}
    np.testing.assert_array_equal(data.split("val").labels, SORTED)
    assert data.split("val").paths[0] == "val/ILSVRC2012_val_00000001.JPEG"


def test_the_order_of_the_development_kit_numbers_both_splits(imagenet) -> None:
    data = open_data(imagenet(), class_order="devkit")
    assert [info.wnid for info in data.classes] == ["n01484850", "n01440764", "n01443537"]  # 442, 449, 450
    np.testing.assert_array_equal(data.split("val").labels, [1, 2, 0, 0, 2, 1])
    for path, label in zip(data.split("train").paths, data.split("train").labels, strict=True):
        assert path.split("/")[1] == data.classes[label].wnid


def test_validation_images_alone_have_all_thousand_classes(imagenet, tmp_path: Path) -> None:
    root = imagenet()
    (root / "train").rename(tmp_path / "elsewhere")
    data = open_data(root)
    assert len(data.classes) == 1000
    np.testing.assert_array_equal(data.split("val").labels, SORTED)
    np.testing.assert_array_equal(
        open_data(root, class_order="devkit").split("val").labels, np.array([449, 450, 442, 442, 450, 449]) - 1
    )


def test_validation_images_of_classes_that_are_not_trained_on_are_left_out(imagenet) -> None:
    root = imagenet(truth="449\n450\n1\n442\n450\n449\n")
    assert len(open_data(root).split("val")) == 5


def place_devkit_folder(root: Path, text: str) -> None:
    (root / DEVKIT / "data").mkdir(parents=True)
    (root / DEVKIT / "data" / GROUND_TRUTH).write_text(text)


def place_devkit_archive(root: Path, text: str) -> None:
    with tarfile.open(root / f"{DEVKIT}.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(f"{DEVKIT}/data/{GROUND_TRUTH}")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))


def place_kaggle_solution(root: Path, text: str) -> None:
    wnids = {str(known.ilsvrc_id): wnid for wnid, known in imagenet_classes().items()}
    rows = [f"ILSVRC2012_val_{n:08d},{wnids[line]} 1 2 3 4 " for n, line in enumerate(text.split(), start=1)]
    (root / KAGGLE_SOLUTION).write_text("ImageId,PredictionString\n" + "\n".join(reversed(rows)) + "\n")


@pytest.mark.parametrize("place", [place_devkit_folder, place_devkit_archive, place_kaggle_solution])
@pytest.mark.parametrize("beside", [False, True], ids=["in it", "beside it"])
def test_the_ground_truth_is_found_in_its_usual_places(imagenet, place, beside: bool) -> None:
    root = imagenet(truth=None)
    place(root.parent if beside else root, "449\n450\n442\n442\n450\n449\n")
    np.testing.assert_array_equal(open_data(root).split("val").labels, SORTED)


def test_a_ground_truth_that_is_named_wins(imagenet, tmp_path: Path) -> None:
    root = imagenet()
    (tmp_path / "mine.txt").write_text("442\n" * 6)
    np.testing.assert_array_equal(open_data(root, tmp_path / "mine.txt").split("val").labels, [2] * 6)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (None, "labels are missing; put ILSVRC2012_validation_ground_truth.txt"),
        ("449\n" * 5, "labels 5 images, but the validation images are numbered up to 6"),
        ("449\n" * 7, "labels 7 images"),
        ("449\n450\n1001\n442\n450\n449\n", "line 3 is '1001', not an ILSVRC2012_ID from 1 to 1000"),
        ("449\n450\n0\n442\n450\n449\n", "line 3 is '0'"),
        ("449\nfish\n", "line 2 is 'fish'"),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_one_line(imagenet, truth: str | None, words: str) -> None:
    with pytest.raises(DataError) as refused:
        open_data(imagenet(truth=truth))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_part_of_the_validation_images_may_use_the_whole_ground_truth(imagenet) -> None:
    root = imagenet(truth="449\n450\n442\n442\n450\n449\n" + "1\n" * (NUM_VALIDATION - 6))
    np.testing.assert_array_equal(open_data(root).split("val").labels, SORTED)


def test_what_nothing_needs_is_refused(class_folders, tmp_path: Path) -> None:
    photos = class_folders({"a": 2, "b": 2})
    (tmp_path / "truth.txt").write_text("1\n")
    with pytest.raises(InputError, match="no flat validation images"):
        open_data(photos, tmp_path / "truth.txt")
    with pytest.raises(InputError, match="a is none of ILSVRC's 1,000 classes"):
        open_data(photos, class_order="devkit")
    with pytest.raises(InputError, match="digits has its own labels"):
        open_data("digits", class_order="devkit")


def test_an_unreadable_ground_truth_is_named(tmp_path: Path) -> None:
    (tmp_path / "kit.tar.gz").write_bytes(b"no archive")
    for path in (tmp_path / "nowhere.txt", tmp_path / "kit.tar.gz"):
        with pytest.raises(DataError, match=rf"{path.name}: no ground truth that can be read"):
            read_ground_truth(path)


def test_labels_of_other_classes_than_those_of_train_are_refused(tmp_path: Path) -> None:
    """A ground truth of other images would otherwise leave a validation split without one."""
    for wnid in ("n01440764", "n01443537"):
        (tmp_path / "train" / wnid).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / wnid / "0.png")
    (tmp_path / "val").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "val/ILSVRC2012_val_00000001.JPEG", format="JPEG")
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n")
    with pytest.raises(DataError, match="are none of those of train"):
        open_data(tmp_path)
