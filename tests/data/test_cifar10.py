import hashlib
import io
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.data import datasets
from alexnet.data.cifar10 import CIFAR10_FILES
from alexnet.data.cifar10 import open_cifar10 as open_published
from alexnet.data.datasets import open_data
from alexnet.data.fetch import Download
from alexnet.data.splits import DataSet
from alexnet.errors import DataError, DownloadError, MissingExtraError

pytest.importorskip("pooch")

NAMES = ["airplane", "automobile", "bird"]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3072), np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pickled() -> dict[str, bytes]:
    """The published files in small, by their names in the archive."""
    files: dict[str, object] = {"batches.meta": {"label_names": NAMES}, "readme.html": "text"}
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        files[name] = {"data": PIXELS[number], "labels": [0, 1, 2, 1]}
    return {f"cifar-10-batches-py/{name}": pickle.dumps(value, protocol=2) for name, value in files.items()}


def open_cifar10(download: Download) -> DataSet:
    sizes = {name: len(content) for name, content in pickled().items() if name in CIFAR10_FILES}
    assert sizes.keys() == CIFAR10_FILES.keys()
    return open_published(download, sizes)


@pytest.fixture
def download() -> Download:
    """The published archive in small, put into the cache folder by hand; no server has its address."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in pickled().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    checksum = f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
    download = Download("cifar10", "http://127.0.0.1:9/cifar-10-python.tar.gz", checksum, len(packed.getvalue()))
    download.path.parent.mkdir(parents=True)
    download.path.write_bytes(packed.getvalue())
    return download


def test_the_archive_becomes_a_data_set_that_needs_it_no_more(download, own_cache):
    data = open_cifar10(download)
    assert data.name == "cifar10"
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "test": 4}
    np.testing.assert_array_equal(np.asarray(data.split("test").image(3)).transpose(2, 0, 1).ravel(), PIXELS[5, 3])
    assert len(list((own_cache / "cifar-10-batches-py").iterdir())) == 7
    download.path.unlink()
    assert open_cifar10(download).fingerprint == data.fingerprint


@pytest.mark.parametrize("name", ["batches.meta", "data_batch_3", "test_batch"])
def test_a_file_that_is_lost_or_cut_is_unpacked_again(download, own_cache, name):
    fingerprint = open_cifar10(download).fingerprint
    path = own_cache / "cifar-10-batches-py" / name
    path.unlink()
    assert open_cifar10(download).fingerprint == fingerprint
    path.write_bytes(path.read_bytes()[:-1])
    assert open_cifar10(download).fingerprint == fingerprint
    assert len(list(path.parent.iterdir())) == 7


def test_a_damaged_file_is_named_and_what_to_do(download, own_cache):
    open_cifar10(download)
    folder = own_cache / "cifar-10-batches-py"
    path = folder / "data_batch_3"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DataError, match=rf"^{path}: .*; delete {folder}: it is fetched again$"):
        open_cifar10(download)


def test_cifar10_is_a_name_for_it_but_a_folder_of_that_name_wins(download, class_folders, tmp_path, monkeypatch):
    monkeypatch.setitem(datasets._NAMED, "cifar10", lambda: open_cifar10(download))
    monkeypatch.chdir(tmp_path)
    assert len(open_data("cifar10").split("test")) == 4
    class_folders({"cats": 2, "dogs": 2}, below="cifar10")
    assert [info.name for info in open_data("cifar10").classes] == ["cats", "dogs"]


def test_offline_one_line_says_what_to_do(download, own_cache):
    download.path.unlink()
    with pytest.raises(DownloadError) as caught:
        open_cifar10(download)
    assert str(caught.value) == (
        f"cifar10 could not be downloaded from {download.url} (no connection); "
        f"connect, or put the published cifar-10-python.tar.gz into {own_cache / 'downloads'}"
    )
    assert not (own_cache / "cifar-10-batches-py").exists()


def test_pooch_is_needed_for_the_first_time_only(download, monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pooch", None)
        with pytest.raises(MissingExtraError, match=r"alexnet\[download\]"):
            open_cifar10(download)
    open_cifar10(download)
    monkeypatch.setitem(sys.modules, "pooch", None)
    open_cifar10(download)


@pytest.mark.network
def test_the_published_file_is_where_it_was(own_cache):
    data = open_published()
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 50_000, "test": 10_000}
    np.testing.assert_array_equal(np.bincount(data.split("test").labels), np.full(10, 1000))
