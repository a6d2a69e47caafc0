import shutil
import tarfile
from pathlib import Path

import pytest

from alexnet.data.datasets import open_data
from alexnet.data.prepare.sources import open_source
from alexnet.data.prepared import PREPARED
from alexnet.data.trees import FolderTree
from alexnet.errors import DataError


def pack(folder: Path) -> None:
    """Put a tar in the place of a folder."""
    with tarfile.open(folder.with_name(f"{folder.name}.tar"), "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    shutil.rmtree(folder)


@pytest.mark.parametrize("num_packed", [1, 3])
def test_class_archives_below_train_are_read_where_they_lie(imagenet, prepared, digests, tmp_path, num_packed) -> None:
    whole, partly = imagenet("whole"), imagenet("partly")
    for folder in sorted((partly / "train").iterdir())[:num_packed]:
        pack(folder)
    for source in (whole, partly):
        prepared(source, tmp_path / f"{source.name}-out")
        (tmp_path / f"{source.name}-out" / PREPARED).unlink()
    assert digests(tmp_path / "whole-out") == digests(tmp_path / "partly-out")


def test_a_folder_of_class_archives_is_a_folder_of_classes(imagenet, prepared, tmp_path: Path) -> None:
    root = imagenet()
    for folder in list((root / "train").iterdir()):
        pack(folder)
    prepared(root / "train", tmp_path / "out")
    assert [info.wnid for info in open_data(tmp_path / "out").classes] == ["n01440764", "n01443537", "n01484850"]


def test_an_archive_beside_its_folder_is_refused(imagenet, tmp_path: Path) -> None:
    root = imagenet()
    (root / "ILSVRC2012_img_train.tar").touch()
    with pytest.raises(DataError, match=r"holds both ILSVRC2012_img_train\.tar and train/"):
        open_source(str(root), tmp_path)


def test_the_archive_that_a_tree_was_unpacked_from_is_not_looked_into(imagenet, tmp_path: Path, cache_folder) -> None:
    root = imagenet()
    inside = root / "ILSVRC" / "Data" / "CLS-LOC"
    inside.mkdir(parents=True)
    for name in ("train", "val"):
        (root / name).rename(inside / name)
    archive = root / "imagenet_object_localization_patched2019.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(root / "ILSVRC", "ILSVRC")
    before = set(cache_folder.rglob("*"))
    assert isinstance(open_source(str(root), tmp_path), FolderTree)
    assert {name: len(split) for name, split in open_data(root).splits.items()} == {"train": 12, "val": 6}
    with pytest.raises(DataError, match=r"no images with their classes beside them; pack it first: alexnet prepare"):
        open_data(archive)
    assert set(cache_folder.rglob("*")) == before
