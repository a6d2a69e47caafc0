"""The webdataset library reads our shards, and we read its: the same images, labels, keys and order."""

import gc
import tarfile
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import open_data
from alexnet.data.shards import write_shard

wds = pytest.importorskip("webdataset")
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # it leaves closing to the interpreter

KEYS = ["n01440764/one", "n01440764/two", "n01443537/one", "three"]
LABELS = [0, 0, 1, 312]


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (20 + seed, 28, 3), np.uint8)


def encoded(seed: int, suffix: str) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels(seed)).save(file, "jpeg" if suffix == "jpg" else suffix)
    return file.getvalue()


def read_by_webdataset(*shards: Path, count: int | None = None) -> list[dict[str, Any]]:
    """Its first samples; the files are closed here, while their warning is let pass."""
    samples = wds.WebDataset([shard.as_posix() for shard in shards], shardshuffle=False).decode("rgb8")
    read = list(islice(samples, count))
    del samples
    gc.collect()
    return read


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_webdataset_reads_what_we_write(tmp_path: Path, suffix: str) -> None:
    samples = [
        (key, encoded(seed, suffix), suffix, label) for seed, (key, label) in enumerate(zip(KEYS, LABELS, strict=True))
    ]
    shards = [tmp_path / "train-000.tar", tmp_path / "train-001.tar"]
    write_shard(shards[0], samples[:3])
    write_shard(shards[1], samples[3:])
    theirs = read_by_webdataset(*shards)
    assert [sample["__key__"] for sample in theirs] == KEYS
    assert [sample["cls"] for sample in theirs] == LABELS
    ours = open_data(tmp_path).split("train")
    for index, sample in enumerate(theirs):
        np.testing.assert_array_equal(sample[suffix], np.asarray(ours.image(index)))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("name", ["train-000.tar", "train-000.tar.gz"])
def test_we_read_what_its_tar_writer_writes(tmp_path: Path, suffix: str, name: str) -> None:
    """Arrays that it encodes, classes as numbers, and members that are none of ours."""
    with wds.TarWriter(str(tmp_path / name)) as writer:
        for seed, (key, label) in enumerate(zip(KEYS, LABELS, strict=True)):
            extra = {"json": {"seed": seed}, "txt": "a caption", "seg.txt": "two dots"}
            writer.write({"__key__": key, suffix: pixels(seed), "cls": label, **extra})
    check_same_as_webdataset(tmp_path / name, suffix)


def test_we_read_what_its_shard_writer_writes(tmp_path: Path) -> None:
    pattern = (tmp_path / "train-%03d.tar").as_posix()
    with wds.ShardWriter(pattern, maxcount=3, verbose=0) as writer:
        for seed, (key, label) in enumerate(zip(KEYS, LABELS, strict=True)):
            writer.write({"__key__": key, "png": encoded(seed, "png"), "cls": str(label).encode()})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-000.tar", "train-001.tar"]
    split = open_data(tmp_path).split("train")
    assert list(split.paths) == [f"train-00{number // 3}.tar/{key}.png" for number, key in enumerate(KEYS)]
    np.testing.assert_array_equal(split.labels, LABELS)
    for seed in range(4):
        np.testing.assert_array_equal(np.asarray(split.image(seed)), pixels(seed))


def test_both_read_a_real_shard_alike(test_data: Path) -> None:
    path = test_data / "cifar10" / "test-000.tar.gz"
    split = open_data(path).split("test")
    for index, sample in enumerate(read_by_webdataset(path, count=200)):
        assert split.paths[index] == f"test-000.tar.gz/{sample['__key__']}.jpg"
        assert split.labels[index] == sample["cls"]
        np.testing.assert_array_equal(np.asarray(split.image(index)), sample["jpg"])


def check_same_as_webdataset(shard: Path, suffix: str) -> None:
    split = open_data(shard).split("train")
    theirs = read_by_webdataset(shard)
    assert len(split) == len(theirs) == len(KEYS)
    assert list(split.paths) == [f"{shard.name}/{key}.{suffix}" for key in KEYS]
    np.testing.assert_array_equal(split.labels, LABELS)
    for index, sample in enumerate(theirs):
        np.testing.assert_array_equal(np.asarray(split.image(index)), sample[suffix])
    with tarfile.open(shard) as archive:
        assert len(archive.getnames()) > 2 * len(KEYS)
