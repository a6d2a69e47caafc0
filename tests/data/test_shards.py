import gzip
import io
import json
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alexnet.data import shards as shards_module
from alexnet.data.cache import cache_dir
from alexnet.data.datasets import open_data
from alexnet.data.shards import open_shard, write_shard
from alexnet.errors import DataError, ImageError, ShardError


@pytest.fixture
def samples(encoded):
    return [(f"some/key_{number}", encoded(seed=number), "png", number % 3) for number in range(7)]


@pytest.fixture
def shard(tmp_path, samples):
    path = tmp_path / "train-000.tar"
    write_shard(path, samples)
    return path


def zipped(path):
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return target


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("prepare", [lambda path: path, zipped], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("writable", [True, False], ids=["cached", "in memory"])
def test_what_was_packed_is_read_back_bit_for_bit(shard, samples, prepare, writable, monkeypatch, tmp_path):
    if not writable:
        (tmp_path / "a file").write_bytes(b"")
        monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "a file" / "no folder can be here"))
    for _ in range(2):  # the second time from the kept index
        opened = open_shard(prepare(shard))
        assert opened.index.names == [f"{key}.{suffix}" for key, _, suffix, _ in samples]
        np.testing.assert_array_equal(opened.index.labels, [label for *_, label in samples])
        assert [opened.read(index) for index in range(7)] == [content for _, content, *_ in samples]


def test_the_same_samples_give_the_same_bytes(shard, samples, tmp_path):
    write_shard(tmp_path / "again.tar", iter(samples))
    assert (tmp_path / "again.tar").read_bytes() == shard.read_bytes()


def test_an_interrupted_writer_leaves_nothing_behind(tmp_path, samples):
    def failing():
        yield samples[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_shard(tmp_path / "train-000.tar", failing())
    assert list(tmp_path.iterdir()) == []


def test_the_writer_refuses_keys_that_the_reader_would_cut(tmp_path):
    with pytest.raises(ShardError, match="has a dot"):
        write_shard(tmp_path / "train-000.tar", [("v1.0", b"", "png", 0)])


def test_keys_end_at_the_first_dot_and_keep_their_folder(tmp_path, encoded):
    image = encoded()
    members = {"a/x.cls": b"1", "a/x.JPEG": image, "b.c/x.png": image, "b.c/x.cls": b"0\n", "b.c/x.json": b"{}"}
    opened = open_shard(write_tar(tmp_path / "train-0.tar", members))
    assert opened.index.names == ["a/x.JPEG", "b.c/x.png"]
    np.testing.assert_array_equal(opened.index.labels, [1, 0])


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.1])
def test_a_cut_tar_is_named_as_truncated(shard, keep):
    content = shard.read_bytes().rstrip(b"\0")
    shard.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ShardError, match=r"train-000.tar: truncated.*copy it again"):
        open_shard(shard)


def test_a_tar_cut_between_two_members_is_truncated_too(shard):
    with tarfile.open(shard) as archive:
        boundary = archive.getmembers()[6].offset
    shard.write_bytes(shard.read_bytes()[:boundary])
    with pytest.raises(ShardError, match="truncated"):
        open_shard(shard)


@pytest.mark.parametrize("keep", [0.999, 0.5])
def test_a_cut_gzip_is_named_as_truncated_and_nothing_is_kept(shard, keep):
    path = zipped(shard)
    kept = set(cache_dir().rglob("*"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(ShardError, match=r"train-000.tar.gz: truncated.*copy it again"):
        open_shard(path)
    assert set(cache_dir().rglob("*")) <= kept | {cache_dir() / "shards"}


def test_damage_within_is_reported(shard):
    path = zipped(shard)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ShardError, match=r"train-000.tar.gz: damaged|truncated"):
        open_shard(path)
    shard.write_bytes(b"this is text" * 100)
    with pytest.raises(ShardError, match="not a tar archive"):
        open_shard(shard)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.png": b"x", "a.cls": b"0", "b.png": b"x"}, "key 'b' has an image but no .cls"),
        ({"a.png": b"x", "a.cls": b"0", "b.cls": b"1"}, "key 'b' has a .cls but no image"),
        ({"a.png": b"x", "a.cls": b"zero"}, "a.cls holds b'zero', not a class index"),
        ({"readme.txt": b"x"}, "no images; expected pairs"),
    ],
)
def test_incomplete_samples_are_named(tmp_path, members, reason):
    with pytest.raises(ShardError, match=reason):
        open_shard(write_tar(tmp_path / "train-0.tar", members))


def test_a_changed_shard_never_meets_its_old_index(shard, samples):
    open_shard(shard)
    key, content, suffix, _ = samples[0]
    write_shard(shard, [(key, content, suffix, 9), *samples[1:]])
    assert open_shard(shard).index.labels[0] == 9


def test_the_second_opening_walks_no_tar(shard, monkeypatch):
    first = open_shard(shard)
    monkeypatch.setattr(shards_module, "build_index", None)
    np.testing.assert_array_equal(open_shard(shard).index.offsets, first.index.offsets)


def test_prefixes_are_the_splits_and_classes_json_names_the_classes(tmp_path, samples):
    for name in ("train-000", "train-001", "val-000"):
        write_shard(tmp_path / f"{name}.tar", samples)
    rows = [{"index": 2, "name": "c"}, {"index": 0, "name": "a", "wnid": "n1"}, {"index": 1, "name": "b"}]
    (tmp_path / "classes.json").write_text(json.dumps(rows))
    data = open_data(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 14, "val": 7}
    assert [(info.name, info.wnid) for info in data.classes] == [("a", "n1"), ("b", None), ("c", None)]
    assert data.split("train").paths[7:9] == ["train-001.tar/some/key_0.png", "train-001.tar/some/key_1.png"]
    assert len(open_data(tmp_path / "val-000.tar").split("val")) == 7


def test_shards_of_no_split_are_train_but_not_among_others(tmp_path, samples):
    write_shard(tmp_path / "flowers.tar", samples)
    assert set(open_data(tmp_path).splits) == {"train"}
    write_shard(tmp_path / "val-0.tar", samples)
    with pytest.raises(DataError, match=r"flowers.tar: of which split\?"):
        open_data(tmp_path)


def test_labels_outside_the_classes_are_named(shard):
    (shard.parent / "classes.json").write_text('["a", "b"]')
    with pytest.raises(DataError, match=r"train-000.tar/some/key_2.png: label 2 is outside the 2 classes"):
        open_data(shard)
    (shard.parent / "classes.json").write_text('{"a": 0}')
    with pytest.raises(DataError, match="expected a list of names"):
        open_data(shard)


def test_a_damaged_image_is_named_with_its_shard(tmp_path, samples):
    write_shard(tmp_path / "train-0.tar", [*samples[:2], ("bad", b"not an image", "jpg", 0)])
    with pytest.raises(ImageError, match=r"train-0.tar/bad.jpg: not an image"):
        open_data(tmp_path).split("train").image(2)


def test_splits_travel_to_other_processes_and_serve_many_threads(shard, picture):
    split = pickle.loads(pickle.dumps(open_data(shard).split("train")))
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(split.image, list(range(7)) * 5))
    for number, image in enumerate(images):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture(seed=number % 7)))


def test_a_real_shard_reads_as_tarfile_reads_it(test_data):
    data = open_data(test_data / "tiny-imagenet" / "val-000.tar.gz")
    split = data.split("val")
    assert len(data.classes) == 200
    np.testing.assert_array_equal(np.bincount(split.labels), np.full(200, 25))
    with tarfile.open(test_data / "tiny-imagenet" / "val-000.tar.gz") as archive:
        for index in range(20):
            image, label = archive.next(), archive.next()
            assert split.paths[index] == f"val-000.tar.gz/{image.name}"
            assert int(archive.extractfile(label).read()) == split.labels[index]
    assert {split.image(index).size for index in range(0, 5000, 250)} == {(64, 64)}


@pytest.mark.parametrize("label", [20_000_000, 10**25])
def test_a_label_that_no_data_set_has_is_refused_by_name(tmp_path, label):
    write_shard(tmp_path / "train-0.tar", [("a", b"", "png", label)])
    with pytest.raises(ShardError, match=r"a\.cls holds"):
        open_shard(tmp_path / "train-0.tar")


def test_shards_whose_split_stands_in_mid_name_are_refused(tmp_path):
    for split in ("train", "validation"):
        write_shard(tmp_path / f"photos-{split}-0.tar", [("a", b"", "png", 0)])
    with pytest.raises(DataError, match="of which split"):
        open_data(tmp_path)
