from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.collection import image_files, open_collection
from alexnet.data.datasets import open_data
from alexnet.errors import DataError, ImageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes in train and val; every image has a colour of its own."""
    for number, path in enumerate(("train/a/1.png", "train/a/2.png", "train/b/1.png", "val/a/1.png", "val/b/1.png")):
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(file)
    return tmp_path / "photos"


def colours(images) -> list[int]:
    return [images.image(index).getpixel((0, 0))[0] for index in range(len(images))]


def test_all_splits_come_in_turn_or_one_that_is_named(photos: Path) -> None:
    everything = open_collection([str(photos)])
    assert colours(everything.images) == [0, 1, 2, 3, 4]
    assert list(everything.images.labels) == [0, 0, 1, 0, 1]
    assert list(everything.images.paths)[2:4] == ["train/b/1.png", "val/a/1.png"]
    assert [info.name for info in everything.classes] == ["a", "b"]
    val = open_collection([str(photos)], "val")
    assert colours(val.images) == [3, 4]
    with pytest.raises(DataError, match="has no test images"):
        open_collection([str(photos)], "test")


def test_flat_class_folders_come_whole_though_some_would_be_held_out(photos: Path) -> None:
    assert set(open_data(photos / "train").splits) == {"train", "val"}
    assert sorted(colours(open_collection([str(photos / "train")]).images)) == [0, 1, 2]


def test_a_folder_with_images_of_its_own_is_loose_images(photos: Path) -> None:
    (photos / "._cover.png").touch()  # what some systems leave beside a file is none
    assert open_collection([str(photos)]).classes
    Image.new("RGB", (4, 4), (9, 0, 0)).save(photos / "cover.png")
    loose = open_collection([str(photos)])
    assert colours(loose.images) == [9, 0, 1, 2, 3, 4]
    assert set(loose.images.labels.tolist()) == {-1}
    assert loose.classes == ()
    with pytest.raises(DataError, match="loose images have no val split"):
        open_collection([str(photos)], "val")


def test_files_folders_and_bytes_may_be_mixed(photos: Path) -> None:
    content = (photos / "val/b/1.png").read_bytes()
    where = [str(photos / "train/b/1.png"), "-", str(photos / "val")]
    mixed = open_collection(where, contents={"-": content})
    assert colours(mixed.images) == [2, 4, 3, 4]
    assert list(mixed.images.paths)[:2] == [where[0], "-"]
    assert colours(open_collection(["-"], contents={"-": content}).images) == [4]


def test_what_is_no_image_says_so_by_its_name_when_it_is_opened(photos: Path) -> None:
    collection = open_collection([str(photos / "no.png"), "-"], contents={"-": b"words"})
    with pytest.raises(ImageError, match=r"no\.png: no such file"):
        collection.images.image(0)
    with pytest.raises(ImageError, match=r"^-: not an image"):
        collection.images.image(1)


def test_nothing_is_data_and_said_to_be_missing() -> None:
    with pytest.raises(DataError, match="nowhere: no such folder, file or data set"):
        open_collection(["nowhere"])


def test_a_folder_gives_its_images_sorted_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", ".e.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert image_files(tmp_path) == [str(tmp_path / "a/c.png"), str(tmp_path / "b.JPG")]
    assert image_files("no/such.png") == ["no/such.png"]
    assert image_files(tmp_path / ".hidden") == [str(tmp_path / ".hidden/d.png")]


def test_a_folder_that_is_named_like_an_image_is_a_folder(photos: Path) -> None:
    photos = photos.rename(photos.with_name("photos.png"))
    assert len(open_collection([str(photos)]).classes) == 2


def test_links_among_loose_folders_add_no_images(photos: Path) -> None:
    (photos / "train" / "again").symlink_to(photos / "val")
    assert len(image_files(photos)) == 5


def test_labels_are_integers_of_64_bits(photos: Path) -> None:
    for where in (photos, photos / "val/b"):
        assert open_collection([str(where)]).images.labels.dtype == np.int64


def test_a_digest_knows_paths_labels_classes_and_what_is_in_shards(photos: Path, tmp_path: Path) -> None:
    from alexnet.data.shards import write_shard

    def shard(content: bytes, label: int = 0) -> str:
        write_shard(tmp_path / "train-0.tar", [("a", content, "png", label), ("b", content, "png", 1)])
        return open_collection([str(tmp_path / "train-0.tar")]).digest()

    first = shard(b"1")
    assert first == shard(b"1")
    assert len({first, shard(b"2"), shard(b"1", label=1)}) == 3
    files = [str(path) for path in sorted(photos.rglob("*.png"))]
    assert open_collection(files).digest() == open_collection(files).digest()
    assert open_collection(files).digest() != open_collection(files[:-1]).digest()
