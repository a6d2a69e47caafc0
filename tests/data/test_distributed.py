import shutil
import tarfile
from pathlib import Path

import pytest

from alexnet.data.datasets import open_data
from alexnet.data.distributed import find_archives, is_class_archive
from alexnet.errors import DataError

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    return root


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((TRAIN, VAL, "ILSVRC2012_devkit_t12.tar.gz"), {TRAIN: "train", VAL: "val"}),
        ((TRAIN, "val/1.JPEG"), {TRAIN: "train"}),
        (("train/n00000001.tar", "train/other.tar"), {"train/n00000001.tar": "train/n00000001"}),
        (("n00000001.tar", "n00000002/1.JPEG"), {"n00000001.tar": "n00000001"}),
        (("train/n00000001/1.JPEG", "notes.tar"), {}),
    ],
)
def test_every_archive_stands_for_a_folder(tmp_path: Path, names: tuple[str, ...], found: dict[str, str]) -> None:
    archives = find_archives(touch(tmp_path, *names))
    assert {path.relative_to(tmp_path).as_posix(): folder for path, folder in archives.items()} == found


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((TRAIN, VAL, "train/"), f"holds both {TRAIN} and train/, perhaps a part of it; move the archive away if"),
        ((VAL, "Validation/1.JPEG"), f"holds both {VAL} and Validation/"),
        ((TRAIN, "train/n00000001/1.JPEG"), f"holds both {TRAIN} and train/"),
        ((TRAIN, "train/n00000001.tar"), f"holds both {TRAIN} and train/"),
        (("train/n00000001.tar", "train/n00000001/1.JPEG"), "holds both train/n00000001.tar and train/n00000001/"),
        ((f"train/{TRAIN}", f"val/{VAL}"), f"train/{TRAIN} lies inside train/; move it into"),
    ],
)
def test_what_may_be_a_part_is_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError) as refused:
        find_archives(touch(tmp_path, *names))
    assert words in str(refused.value)


def test_a_class_archive_is_known_by_its_wordnet_id(tmp_path: Path) -> None:
    touch(tmp_path, "n00000001.tar", "n1.tar")
    assert [is_class_archive(tmp_path / name) for name in ("n00000001.tar", "n1.tar", "n00000002.tar")] == [1, 0, 0]


def test_half_unpacked_classes_are_not_trained_on(imagenet) -> None:
    train = imagenet() / "train"
    with tarfile.open(train / "n01484850.tar", "w") as archive:
        for path in (train / "n01484850").iterdir():
            archive.add(path, path.name)
    shutil.rmtree(train / "n01484850")
    with pytest.raises(DataError, match=r"holds train.n01484850\.tar, ILSVRC-2012 as distributed; pack it first"):
        open_data(train.parent)
