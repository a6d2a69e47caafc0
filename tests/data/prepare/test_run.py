import os
import shutil
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from alexnet.data import statistics as statistics_module
from alexnet.data.cache import sampled_digest
from alexnet.data.datasets import open_data
from alexnet.data.prepare import run as run_module
from alexnet.data.prepare.report import read_damaged
from alexnet.data.prepared import DAMAGED, PREPARED, SCRATCH, STATISTICS
from alexnet.data.statistics import Statistics, cached_statistics, fit
from alexnet.errors import DataError, InputError, RunError
from alexnet.lock import hold
from alexnet.preprocess import resize_image

COUNTS = {"a": 30, "b": 25, "c": 20}


def source_stem(member: str) -> str:
    """`000` of `train-00000.tar/train-0000012-000.jpg`."""
    return member.rpartition(".")[0].rpartition("-")[2]


@pytest.mark.parametrize(("fit_", "resize"), [("center", 16), ("warp", (16, 16))])
def test_every_image_is_in_the_split_and_class_of_open_data_with_its_pixels(
    class_folders, prepared, tmp_path: Path, fit_: str, resize
) -> None:
    """The slow twin: the same folder opened directly, every image resized by itself."""
    source = class_folders(COUNTS)
    prepared(source, tmp_path / "out", fit=fit_, shard_images=20, quality=100)
    unprepared, packed = open_data(source), open_data(tmp_path / "out")
    assert packed.classes == unprepared.classes
    assert packed.splits.keys() == unprepared.splits.keys() == {"train", "val"}
    for name, split in packed.splits.items():
        plain = unprepared.split(name)
        wanted = {
            (label, Path(path).stem): resize_image(plain.image(index), resize, "bilinear")
            for index, (path, label) in enumerate(zip(plain.paths, plain.labels, strict=True))
        }
        found = {
            (label, source_stem(path)): resize_image(split.image(index), 16, "bilinear")
            for index, (path, label) in enumerate(zip(split.paths, split.labels, strict=True))
        }
        assert found.keys() == wanted.keys()
        away = [np.abs(found[key].astype(int) - wanted[key]).mean() for key in found]
        assert max(away) < 2  # noise of 16 pixels is the hardest there is for JPEG


def test_statistics_are_those_of_the_prepared_split_to_the_last_bit(class_folders, prepared, tmp_path: Path) -> None:
    prepared(class_folders(COUNTS), tmp_path / "out", shard_images=20)
    kept, computed = (
        Statistics.load(tmp_path / "out" / STATISTICS),
        fit(open_data(tmp_path / "out").split("train"), 16, "bilinear"),
    )
    for name in Statistics.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(kept, name), getattr(computed, name))


def test_training_takes_the_statistics_without_another_pass(class_folders, prepared, tmp_path, monkeypatch) -> None:
    prepared(class_folders(COUNTS), tmp_path / "out", shard_images=20)
    kept, computed = Statistics.load(tmp_path / "out" / STATISTICS), []
    monkeypatch.setattr(statistics_module, "fit", lambda *_: computed.append(1) or kept)
    found = cached_statistics(open_data(tmp_path / "out"), "train", 16, "bilinear")
    np.testing.assert_array_equal(found.mean_image, kept.mean_image)
    assert not computed
    cached_statistics(open_data(tmp_path / "out"), "train", 12, "bilinear")
    (tmp_path / "out" / "train-00001.tar").unlink()
    assert open_data(tmp_path / "out").statistics is None
    assert len(computed) == 1


def test_workers_change_no_byte(class_folders, prepared, digests, tmp_path: Path) -> None:
    source = class_folders(COUNTS)
    for workers in (1, 3):
        prepared(source, tmp_path / str(workers), workers, shard_images=20)
    assert digests(tmp_path / "1") == digests(tmp_path / "3")


def test_training_images_are_shuffled(class_folders, prepared, tmp_path: Path) -> None:
    prepared(class_folders({"a": 60, "b": 60}), tmp_path / "out")
    labels = open_data(tmp_path / "out").split("train").labels
    assert 30 < np.count_nonzero(np.diff(labels)) < 80  # half of about 108 pairs; sorted, there would be one


def pack(source: Path, archive: Path) -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in source.rglob("*.*"):
                packed.write(path, path.relative_to(source.parent))
    else:
        with tarfile.open(archive, f"w:{archive.suffix[1:].replace('tgz', 'gz').replace('tar', '')}") as packed:
            packed.add(source, source.name)
    return archive


@pytest.mark.parametrize("name", ["photos.tar", "photos.tar.gz", "photos.tgz", "photos.zip"])
def test_an_archive_gives_the_bytes_of_its_folder(class_folders, prepared, digests, tmp_path: Path, name: str) -> None:
    source = class_folders(COUNTS)
    prepared(source, tmp_path / "of-folder", shard_images=20)
    prepared(pack(source, tmp_path / name), tmp_path / "of-archive", shard_images=20)
    of_folder, of_archive = digests(tmp_path / "of-folder"), digests(tmp_path / "of-archive")
    assert of_folder.pop(PREPARED) != of_archive.pop(PREPARED)  # which names the source
    assert of_folder == of_archive


def test_class_folders_may_have_any_name(class_folders, prepared, tmp_path: Path) -> None:
    source = class_folders({"ä b": 3, "c.d": 3})
    (source / "c.d").rename(os.fsdecode(os.fsencode(source) + b"/caf\xe9"))
    prepared(source, tmp_path / "out")
    assert open_data(tmp_path / "out").classes == open_data(source).classes


def pack_distributed(root: Path, target: Path) -> Path:
    """ILSVRC2012_img_train.tar, a tar of tars, and ILSVRC2012_img_val.tar, flat; both without folders."""
    target.mkdir()
    with tarfile.open(target / "ILSVRC2012_img_val.tar", "w") as flat:
        for path in (root / "val").iterdir():
            flat.add(path, path.name)
    with tarfile.open(target / "ILSVRC2012_img_train.tar", "w") as outer:
        for folder in (root / "train").iterdir():
            part = root.with_name(f"{folder.name}.tar")
            with tarfile.open(part, "w") as inner:
                for path in folder.iterdir():
                    inner.add(path, path.name)
            outer.add(part, part.name)
    shutil.copy(root / "ILSVRC2012_validation_ground_truth.txt", target)
    return target


@pytest.mark.parametrize("order", ["sorted", "devkit"])
def test_ilsvrc_as_distributed_gives_the_bytes_of_the_unpacked_one(
    imagenet, prepared, digests, tmp_path: Path, order: str
) -> None:
    unpacked = imagenet()
    distributed = pack_distributed(unpacked, tmp_path / "distributed")
    with pytest.raises(DataError, match="as distributed; pack it first: alexnet prepare"):
        open_data(distributed)
    for source, out in ((unpacked, "a"), (distributed, "b")):
        prepared(source, tmp_path / out, class_order=order)
        (tmp_path / out / PREPARED).unlink()
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    data = open_data(tmp_path / "a")
    assert [info.wnid for info in data.classes] == [
        info.wnid for info in open_data(unpacked, class_order=order).classes
    ]
    truth = dict(zip("123456", open_data(unpacked, class_order=order).split("val").labels, strict=True))
    val = data.split("val")
    assert {source_stem(path)[-1]: label for path, label in zip(val.paths, val.labels, strict=True)} == truth


def test_the_validation_archive_alone_has_all_thousand_classes_and_no_statistics(imagenet, prepared, tmp_path) -> None:
    archive = pack_distributed(imagenet(), tmp_path / "distributed") / "ILSVRC2012_img_val.tar"
    prepared(archive, tmp_path / "out")
    data = open_data(tmp_path / "out")
    assert (len(data.classes), data.splits.keys(), len(data.split("val"))) == (1000, {"val"}, 6)
    assert not (tmp_path / "out" / STATISTICS).exists()
    assert data.statistics is None


@pytest.mark.parametrize("source", ["digits", "shards"])
def test_what_can_be_opened_can_be_prepared(source: str, class_folders, prepared, tmp_path: Path) -> None:
    if source == "digits":
        pytest.importorskip("sklearn")
    else:
        prepared(class_folders(COUNTS), tmp_path / "shards", size=20)
        source = str(tmp_path / "shards")
    prepared(source, tmp_path / "out", size=8)
    unprepared, packed = open_data(source), open_data(tmp_path / "out")
    for name, split in packed.splits.items():
        np.testing.assert_array_equal(np.bincount(split.labels), np.bincount(unprepared.split(name).labels))
    assert packed.classes == unprepared.classes


def test_odd_files_become_the_picture_a_person_expects_or_are_named(odd_images, prepared, tmp_path: Path) -> None:
    expected = odd_images.write(tmp_path / "photos")
    report = prepared(tmp_path / "photos", tmp_path / "out", size=odd_images.SIDE, max_damaged=1.0).report
    found = {name.rpartition(".")[0]: pixels for name, pixels in odd_images.pictures(tmp_path / "out")}
    damaged = {each.path: each for each in read_damaged(tmp_path / "out")}
    for path, odd in expected.items():
        if isinstance(odd.expected, str):
            assert damaged.pop(path).kind == odd.expected
            continue
        ending = odd_images.key_ending(path)
        [key] = [key for key in found if key.endswith(ending)]
        assert np.abs(found.pop(key).astype(int) - odd.expected).mean() < 1, path
    assert not found
    assert not damaged
    assert report.odd == {
        "16-bit": 3,
        "32-bit": 1,
        "animated": 2,
        "broken-exif": 1,
        "cmyk": 2,
        "exif-rotated": 1,
        "float": 1,
        "grayscale": 6,
        "palette": 3,
        "several-pages": 1,
        "sliver": 1,
        "transparent": 3,
        "wrong-suffix": 1,
    }
    sure = {kind: count for kind, count in report.damaged.items() if kind != "unreadable"}  # not all can make those
    assert sure == {"empty": 1, "not-an-image": 2, "too-large": 1, "truncated": 1}


def test_too_many_damaged_images_stop_at_the_end_and_going_on_is_quick(class_folders, prepared, tmp_path) -> None:
    source = class_folders({"a": 20, "b": 20})
    for number in range(11):
        (source / "a" / f"{number:03d}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"11 of 40 images are damaged; .*damaged\.jsonl lists them\. Give --max-dam"):
        prepared(source, tmp_path / "out", shard_images=10)
    assert len((tmp_path / "out" / DAMAGED).read_text().splitlines()) == 11
    done = prepared(source, tmp_path / "out", shard_images=10, max_damaged=1.0)
    assert (done.num_done, sum(done.report.images.values())) == (0, 29)


@pytest.mark.parametrize(("part", "name"), [("train/a", "class a"), ("val", "val")])
def test_a_class_or_split_without_sound_images_is_refused(class_folders, prepared, tmp_path, part, name) -> None:
    for split in ("train", "val"):
        class_folders({"a": 2, "b": 2}, below=f"photos/{split}")
    for path in (tmp_path / "photos" / part).rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=f"every image of {name} is damaged"):
        prepared(tmp_path / "photos", tmp_path / "out")


def stop_after(shards: int, monkeypatch) -> None:
    """The process dies as the next shard is written."""
    write = run_module.write_shard
    written = []

    def dying(path: Path, samples) -> int:
        if len(written) == shards:
            path.with_name(f".{path.name}.0123abcd.tmp").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(path)
        return write(path, samples)

    monkeypatch.setattr(run_module, "write_shard", dying)


@pytest.fixture
def stopped(class_folders, prepared, tmp_path: Path) -> tuple[Path, Path]:
    """(source, folder) of a preparation that was stopped after two of its shards."""
    source = class_folders(COUNTS)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            prepared(source, tmp_path / "out", shard_images=20)
    return source, tmp_path / "out"


def test_a_stopped_preparation_goes_on_to_the_same_bytes(stopped, prepared, digests, tmp_path: Path) -> None:
    source, folder = stopped
    assert len(list(folder.glob("*.tar"))) == 2
    assert prepared(source, folder, shard_images=20).num_done == 35
    prepared(source, tmp_path / "at-once", shard_images=20)
    assert digests(folder) == digests(tmp_path / "at-once")
    assert not (folder / SCRATCH).exists()


@pytest.mark.parametrize("harm", ["gone", "cut", "other"])
def test_a_shard_that_was_lost_in_between_is_made_again(stopped, prepared, digests, tmp_path: Path, harm: str) -> None:
    source, folder = stopped
    first = folder / "train-00000.tar"
    content = bytearray(first.read_bytes())
    content[600] ^= 0xFF
    first.unlink() if harm == "gone" else first.write_bytes(content[:-9] if harm == "cut" else content)
    assert prepared(source, folder, shard_images=20).num_done == 35 + 20
    prepared(source, tmp_path / "at-once", shard_images=20)
    assert digests(folder) == digests(tmp_path / "at-once")  # the statistics too: nothing is counted twice


def test_a_shard_that_cannot_be_made_again_as_it_was_is_an_error(stopped, prepared) -> None:
    source, folder = stopped
    with closing(sqlite3.connect(folder / SCRATCH / "ledger.sqlite")) as rows, rows:
        rows.execute("UPDATE shard SET digest = 'of another Pillow' WHERE number = 0")
    with pytest.raises(DataError, match=r"train-00000\.tar was lost, and cannot be made again as it was; remove"):
        prepared(source, folder, shard_images=20)


@pytest.mark.parametrize("name", ["train-00001.tar", "classes.json", STATISTICS])
def test_a_finished_folder_that_lacks_a_file_is_an_error(class_folders, prepared, tmp_path: Path, name: str) -> None:
    source = class_folders(COUNTS)
    prepared(source, tmp_path / "out", shard_images=20)
    (tmp_path / "out" / name).unlink()
    with pytest.raises(DataError, match=f"{name} is gone or has changed since it was prepared; copy it again, or"):
        prepared(source, tmp_path / "out", shard_images=20)


def test_a_finished_folder_that_has_changed_is_an_error(class_folders, prepared, tmp_path: Path) -> None:
    source = class_folders(COUNTS)
    prepared(source, tmp_path / "out")
    with (tmp_path / "out" / "train-00000.tar").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(DataError, match=r"train-00000\.tar is gone or has changed"):
        prepared(source, tmp_path / "out")


def test_a_finished_folder_needs_its_source_no_more(class_folders, prepared, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    class_folders(COUNTS)
    prepared("photos", tmp_path / "out")
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert prepared("photos", tmp_path / "out").num_done == 0
    with pytest.raises(InputError, match=r"out is the finished preparation of .*photos; use it as it is, or"):
        prepared("moved", tmp_path / "out")


def test_shards_that_were_changed_in_place_have_no_prepared_statistics(class_folders, prepared, tmp_path) -> None:
    """Where the sampled digest sees nothing: in the middle of a file of several MiB."""
    prepared(class_folders({"a": 30, "b": 30}), tmp_path / "out", size=400, quality=100)
    prepared_data = open_data(tmp_path / "out")
    assert prepared_data.statistics
    shard = tmp_path / "out" / "train-00000.tar"
    before = sampled_digest(shard)
    with shard.open("r+b") as file:
        file.seek(shard.stat().st_size * 11 // 30)  # between two samples
        file.write(bytes(1000))
    assert sampled_digest(shard) == before
    assert open_data(tmp_path / "out").statistics is None
    assert open_data(tmp_path / "out").fingerprint != prepared_data.fingerprint  # what is computed is kept by that


def test_a_corrected_ground_truth_is_not_ignored_half_way(imagenet, prepared, tmp_path: Path, monkeypatch) -> None:
    source = imagenet()
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            prepared(source, tmp_path / "out")
    (source / "ILSVRC2012_validation_ground_truth.txt").write_text("450\n449\n442\n442\n450\n449\n")
    with pytest.raises(InputError, match="was begun with ground_truth_sha256"):
        prepared(source, tmp_path / "out")


def test_a_class_of_faulty_members_only_is_refused_and_shifts_no_label(class_folders, prepared, tmp_path) -> None:
    source = class_folders({"a": 3, "b": 3, "c": 3})
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as packed:
        for path in sorted(source.rglob("*.png")):
            method = zipfile.ZIP_BZIP2 if path.parent.name == "b" else zipfile.ZIP_STORED
            packed.write(path, path.relative_to(tmp_path), method)
    with pytest.raises(DataError, match="every image of class b is damaged"):
        prepared(tmp_path / "photos.zip", tmp_path / "out")


def test_names_that_lead_out_decide_no_class_and_are_counted(class_folders, prepared, tmp_path: Path) -> None:
    archive = pack(class_folders({"a": 3, "b": 3}), tmp_path / "photos.zip")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("../evil/x.png", b"x")
    report = prepared(archive, tmp_path / "out").report
    assert (report.classes, report.damaged) == (2, {"unreadable": 1})


def test_the_last_member_of_a_name_counts(class_folders, prepared, digests, tmp_path: Path) -> None:
    source = class_folders({"a": 6, "b": 6})
    with tarfile.open(tmp_path / "photos.tar", "w") as packed:
        for path in source.rglob("*.png"):
            member = tarfile.TarInfo(f"photos/{path.relative_to(source)}")  # what `tar -r` will supersede
            packed.addfile(member)
        packed.add(source, "photos")
    prepared(source, tmp_path / "of-folder")
    prepared(tmp_path / "photos.tar", tmp_path / "of-tar")
    for folder in ("of-folder", "of-tar"):
        (tmp_path / folder / PREPARED).unlink()
    assert digests(tmp_path / "of-folder") == digests(tmp_path / "of-tar")


def test_the_systems_own_files_do_not_fill_a_folder(class_folders, prepared, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    assert prepared(class_folders(COUNTS), tmp_path / "out").num_done == 75


def test_a_finished_folder_says_so_and_keeps_its_files(class_folders, prepared, digests, tmp_path: Path) -> None:
    source = class_folders(COUNTS)
    first = prepared(source, tmp_path / "out")
    before = digests(tmp_path / "out")
    again = prepared(source, tmp_path / "out")
    assert (again.num_done, again.report) == (0, first.report)
    assert digests(tmp_path / "out") == before
    with pytest.raises(InputError, match="was begun with quality 95, not 90; give the same again"):
        prepared(source, tmp_path / "out", quality=90)


def test_another_source_or_setting_is_refused_half_way(stopped, class_folders, prepared) -> None:
    source, folder = stopped
    with pytest.raises(InputError, match="was begun with size 16, not 20"):
        prepared(source, folder, shard_images=20, size=20)
    with pytest.raises(InputError, match="was begun with source "):
        prepared(class_folders(COUNTS, below="others"), folder, shard_images=20)


def test_an_archive_that_changed_in_between_is_refused(class_folders, prepared, tmp_path: Path, monkeypatch) -> None:
    archive = pack(class_folders(COUNTS), tmp_path / "photos.tar.gz")
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            prepared(archive, tmp_path / "out", shard_images=20)
    os.utime(archive, ns=(0, 10**18))
    with pytest.raises(DataError, match=r"photos.tar.gz has changed since .* began: it is another file now"):
        prepared(archive, tmp_path / "out", shard_images=20)


@pytest.mark.parametrize("change", ["new", "gone", "changed"])
def test_a_source_that_changed_in_between_is_named(stopped, prepared, change: str) -> None:
    source, folder = stopped
    image = source / "b" / "003.png"
    if change == "new":
        shutil.copy(image, source / "b" / "new.png")
    elif change == "gone":
        image.unlink()
    else:
        os.utime(image, ns=(0, 0))
    words = {"new": "b/new.png is new", "gone": "b/003.png is gone", "changed": "b/003.png has changed"}
    with pytest.raises(DataError, match=f"has changed since its preparation .* began: {words[change]}; undo that"):
        prepared(source, folder, shard_images=20)


def test_folders_that_cannot_be_the_result_are_refused(class_folders, prepared, tmp_path: Path) -> None:
    source = class_folders(COUNTS)
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    for folder, words in {
        source: "is inside",
        source / "a" / "out": "is inside",
        tmp_path / "file" / "out": "is a file, not a folder",
        tmp_path / "full": "already holds other files; choose a new folder",
        tmp_path: "already holds other files",
    }.items():
        with pytest.raises(InputError, match=words):
            prepared(source, folder)
    assert sorted(path.name for path in source.iterdir()) == ["a", "b", "c"]


def test_two_preparations_into_one_folder_are_refused(class_folders, prepared, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with hold(tmp_path / "out"), pytest.raises(InputError, match="another process is already writing into"):
        prepared(class_folders(COUNTS), tmp_path / "out")


def test_a_full_disk_loses_nothing(class_folders, prepared, digests, tmp_path: Path, monkeypatch) -> None:
    source = class_folders(COUNTS)
    write = run_module.write_shard

    def full(path: Path, samples) -> int:
        if path.name == "train-00001.tar":
            raise OSError(28, "No space left on device", str(path))
        return write(path, samples)

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_shard", full)
        with pytest.raises(OSError, match="No space left"):
            prepared(source, tmp_path / "out", shard_images=20)
    prepared(source, tmp_path / "out", shard_images=20)
    prepared(source, tmp_path / "at-once", shard_images=20)
    assert digests(tmp_path / "out") == digests(tmp_path / "at-once")


def test_a_shard_of_damaged_images_only_is_not_written(class_folders, prepared, tmp_path: Path) -> None:
    source = class_folders({"a": 10, "b": 10})
    for path in list(open_data(source).split("train").paths)[:8]:
        (source / path).write_bytes(b"")
    prepared(source, tmp_path / "out", shard_images=1)
    data = open_data(tmp_path / "out")
    assert sum(map(len, data.splits.values())) == len(list((tmp_path / "out").glob("*.tar"))) == 12
    assert data.statistics == tmp_path / "out" / STATISTICS


def test_a_ledger_that_cannot_be_written_or_read_is_named(stopped, prepared) -> None:
    source, folder = stopped
    ledger = folder / SCRATCH / "ledger.sqlite"
    ledger.write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match=r"ledger\.sqlite: damaged \(file is not a database\); remove .*out and give"):
        prepared(source, folder, shard_images=20)


def test_a_ledger_without_space_is_told_from_a_damaged_one(stopped, prepared, monkeypatch) -> None:
    def full(*_: object) -> None:
        rows = sqlite3.connect(":memory:")
        rows.execute("PRAGMA max_page_count = 1")
        with closing(rows):
            rows.execute("CREATE TABLE a (b)")

    source, folder = stopped
    monkeypatch.setattr(run_module.Ledger, "finish", full)
    with pytest.raises(RunError, match=r"ledger\.sqlite: database or disk is full; free some space"):
        prepared(source, folder, shard_images=20)


def test_a_source_without_images_leaves_nothing_that_hinders(class_folders, prepared, tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="no images in class folders"):
        prepared(tmp_path / "photos", tmp_path / "out")
    (tmp_path / "photos" / "a").rmdir()
    assert prepared(class_folders({"a": 3, "b": 3}), tmp_path / "out").num_done == 6
