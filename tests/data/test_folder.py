import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.errors import DataError, ImageError


def test_classes_are_the_sorted_folder_names(class_folders):
    data = open_data(class_folders({"dogs": 3, "cats": 4}))
    assert [info.name for info in data.classes] == ["cats", "dogs"]
    for split in data.splits.values():
        for path, label in zip(split.paths, split.labels, strict=True):
            assert path.startswith(data.classes[label].name + "/")


def test_a_tenth_is_held_out_and_adding_images_moves_none_between_splits(class_folders):
    root = class_folders({"a": 120, "b": 120})
    before = open_data(root)
    assert 12 <= len(before.split("val")) <= 36
    for number in range(120, 160):
        shutil.copy(root / "a" / "000.png", root / "a" / f"{number}.png")
    after = open_data(root)
    for name in ("train", "val"):
        assert set(before.split(name).paths) <= set(after.split(name).paths)
    assert before.fingerprint != after.fingerprint


def test_where_the_set_lies_does_not_change_what_is_held_out(class_folders):
    counts = {"a": 60, "b": 60}
    here, there = (open_data(class_folders(counts, below=name)).split("val") for name in ("here", "there"))
    assert here.paths == there.paths


def test_every_class_keeps_a_training_image_and_small_sets_hold_one_out(class_folders):
    data = open_data(class_folders({"a": 1, "b": 1, "c": 2}))
    assert set(data.split("train").labels) == {0, 1, 2}
    assert len(data.split("val")) == 1


def test_wordnet_folders_get_the_names_people_use(class_folders):
    goldfish, unknown = open_data(class_folders({"n01443537": 2, "n99999999": 2})).classes
    assert (goldfish.wnid, goldfish.name) == ("n01443537", "goldfish, Carassius auratus")
    assert (unknown.wnid, unknown.name) == ("n99999999", "n99999999")


def test_train_and_val_folders_are_the_splits(class_folders, tmp_path):
    for part, count in {"train": 3, "val": 1, "test": 2}.items():
        class_folders({"a": count, "b": count}, below=f"photos/{part}")
    data = open_data(tmp_path / "photos")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 6, "val": 2, "test": 4}
    assert data.split("val").paths[0] == "val/a/000.png"
    np.testing.assert_array_equal(data.split("val").labels, [0, 1])


def test_splits_of_other_classes_are_refused(class_folders, tmp_path):
    class_folders({"a": 1, "b": 1}, below="photos/train")
    class_folders({"a": 1, "c": 1}, below="photos/val")
    with pytest.raises(DataError, match="train has no images of c; every split needs the same"):
        open_data(tmp_path / "photos")


def test_nested_folders_odd_suffixes_and_hidden_files(class_folders, tmp_path):
    root = class_folders({"a": 1, "b": 1, "b/deeper/still": 1, ".thumbnails": 1})
    shutil.copy(root / "a" / "000.png", root / "a" / "UPPER.PNG")
    (root / "a" / "._000.png").write_bytes(b"")
    (root / "a" / "notes.txt").write_text("no image")
    data = open_data(root)
    names = sorted(path for split in data.splits.values() for path in split.paths)
    assert names == ["a/000.png", "a/UPPER.PNG", "b/000.png", "b/deeper/still/000.png"]


def test_a_damaged_image_is_named(class_folders):
    root = class_folders({"a": 1, "b": 1})
    (root / "a" / "000.png").write_bytes(b"no image")
    split = open_data(root).split("train")
    with pytest.raises(ImageError, match=r"a/000.png: not an image"):
        split.image(0)


def test_useless_folders_say_what_is_expected(tmp_path, class_folders, picture):
    with pytest.raises(DataError, match="no such folder, file or data set; DATA is"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="DATA is"):
        open_data(tmp_path)
    picture().save(tmp_path / "flat.png")
    with pytest.raises(DataError, match="DATA is"):
        open_data(tmp_path)
    with pytest.raises(DataError, match="1 class; a classifier needs at least two"):
        open_data(class_folders({"only": 3}))
    (tmp_path / "bare" / "class").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no images in class folders; expected bare/CLASS/IMAGE\.jpg"):
        open_data(tmp_path / "bare")


def test_an_unknown_split_names_the_ones_there_are(class_folders):
    with pytest.raises(DataError, match="photos has no test images; it has: train, val"):
        open_data(class_folders({"a": 2, "b": 2})).split("test")


def test_the_96_photographs_open(test_data):
    data = open_data(test_data / "imagenet-samples")
    split = data.split("train")
    assert len(data.classes) == len(split) == 96
    assert set(data.splits) == {"train"}  # one image a class: none can be held out
    assert all(split.image(index).mode == "RGB" for index in range(0, 96, 8))


def test_links_back_and_hidden_subfolders_add_no_images(tmp_path):
    for name in ("cat", "dog"):
        for folder in (tmp_path / name, tmp_path / name / ".thumbs"):
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(folder / f"{number}.png")
        (tmp_path / name / "self").symlink_to(".")
    assert sum(len(split) for split in open_data(tmp_path).splits.values()) == 6


def test_shards_beside_image_folders_are_refused(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "a.png")
    (tmp_path / "train-00000.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds shards \(train-00000.tar\) and image folders \(cat\)"):
        open_data(tmp_path)


def test_other_archives_beside_image_folders_are_none_of_the_data(class_folders):
    for part in ("train", "val"):
        root = class_folders({"a": 2, "b/deeper": 2}, below=f"photos/{part}").parent
    for name in ("annotations.tar.gz", "train.tar", "photos.tgz"):
        (root / name).write_bytes(b"what is no archive")
    assert {name: len(split) for name, split in open_data(root).splits.items()} == {"train": 4, "val": 4}


@pytest.mark.parametrize("names", [("train", "valid"), ("Training", "VALIDATION")])
def test_splits_of_other_names_hold_out_nothing(class_folders, names):
    for part in names:
        root = class_folders({"a": 12, "b": 12}, below=f"photos/{part}").parent
    assert {name: len(split) for name, split in open_data(root).splits.items()} == {"train": 24, "val": 24}


def test_files_of_other_kinds_are_counted_where_there_are_no_images(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    for name in ("1.heic", "2.heic", "notes"):
        (tmp_path / "photos" / "cat" / name).touch()
    with pytest.raises(DataError, match=r"no images by their names: 1 without a suffix, 2 \.heic\)"):
        open_data(tmp_path / "photos")


def test_an_empty_training_folder_is_no_data_without_training(class_folders):
    root = class_folders({"a": 2, "b": 2}, below="photos/val").parent
    assert set(open_data(root).splits) == {"val"}
    (root / "train").mkdir()
    with pytest.raises(DataError, match="train/ holds no images in class folders; put them there, or remove it"):
        open_data(root)
