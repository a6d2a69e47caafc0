import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from alexnet.data.archives import TarTree, ZipTree
from alexnet.errors import ImageError, ShardError

IMAGES = {"photos/cat/1.jpg": b"one", "photos/cat/2.png": b"", "photos/dog/3.JPEG": bytes(100_000)}
PASSED_OVER = {"photos/notes.txt": b"x", "__MACOSX/photos/cat/._1.jpg": b"x", "photos/.hidden/x.jpg": b"x"}


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **header: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in header.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def pack_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        add(archive, "photos", type=tarfile.DIRTYPE)
        for name, content in files.items():
            add(archive, name, content)
    return path


def pack_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("photos")
        for number, (name, content) in enumerate(files.items()):
            archive.writestr(name, content, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2])
    return path


TREES = [(pack_tar, TarTree), (pack_zip, ZipTree)]


@pytest.mark.parametrize(("pack", "tree"), TREES)
def test_images_of_an_archive_are_read_where_they_stand(tmp_path: Path, pack, tree) -> None:
    opened = tree(pack(tmp_path / "archive", IMAGES | PASSED_OVER))
    assert {entry.path: opened.read(entry) for entry in opened.entries()} == IMAGES
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize(("pack", "tree"), TREES)
def test_names_that_lead_out_are_refused_and_nothing_is_written(tmp_path: Path, pack, tree) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    opened = tree(pack(inner / "archive", {"../../evil/x.jpg": b"x", "/abs/y.jpg": b"y", "a\\..\\z.jpg": b"z"}))
    entries = list(opened.entries())
    assert [bool(entry.fault) for entry in entries] == [True, False, True]
    with pytest.raises(ImageError, match="leads out of the archive"):
        opened.read(entries[0])
    assert entries[1].path == "abs/y.jpg"  # as every unpacker takes it
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "archive"]


def test_links_and_devices_in_a_tar_are_faults(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "cat/link.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(archive, "cat/hard.jpg", type=tarfile.LNKTYPE, linkname="cat/1.jpg")
        add(archive, "cat/device.jpg", type=tarfile.CHRTYPE)
        add(archive, "cat/1.jpg", b"1")
    assert [bool(entry.fault) for entry in TarTree(tmp_path / "a.tar").entries()] == [True, True, True, False]


def test_a_tar_of_tars_is_a_tree_of_folders(tmp_path: Path) -> None:
    inner = {wnid: pack_tar(tmp_path / wnid, {f"{wnid}_1.JPEG": wnid.encode()}) for wnid in ("n1", "n2")}
    outer = pack_tar(tmp_path / "o.tar", {f"{wnid}.tar": path.read_bytes() for wnid, path in inner.items()})
    tree = TarTree(outer, "train")
    found = {entry.path: tree.read(entry) for entry in tree.entries()}
    assert found == {"train/n1/n1_1.JPEG": b"n1", "train/n2/n2_1.JPEG": b"n2"}


def test_long_and_foreign_names_survive(tmp_path: Path) -> None:
    names = [f"cat/{'x' * 300}.jpg", "cat/caf\udce9.jpg", "cat/ä.jpg"]
    tree = TarTree(pack_tar(tmp_path / "a.tar", dict.fromkeys(names, b"1")))
    assert [entry.path for entry in tree.entries()] == names


@pytest.mark.parametrize(("pack", "tree"), TREES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_archive_is_named(tmp_path: Path, pack, tree, share: float) -> None:
    path = pack(tmp_path / "photos.archive", IMAGES)
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ShardError, match=r"photos\.archive.*copy it again"):
        list(tree(path).entries())


def test_damage_within_a_zip_is_a_damaged_image(tmp_path: Path) -> None:
    path = pack_zip(tmp_path / "a.zip", {"a/0.txt": b"", "a/1.jpg": os.urandom(10_000)})
    tree = ZipTree(path)
    [entry] = tree.entries()
    content = bytearray(path.read_bytes())
    content[entry.offset] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ImageError, match="no file where the archive says"):
        tree.read(entry)


def test_encrypted_and_strangely_packed_members_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a/1.jpg", b"1" * 1000)
    [entry] = ZipTree(path).entries()
    assert entry.fault == "packed by method 12, which is not read"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_flipped_bytes_within_a_zip_are_a_damaged_image(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/1.jpg", os.urandom(10_000))
    tree = ZipTree(path)
    [entry] = tree.entries()
    assert len(tree.read(entry)) == 10_000
    content = bytearray(path.read_bytes())
    content[entry.offset + 5_000] ^= 0x01
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a/1\.jpg: damaged in the archive") as refused:
        tree.read(entry)
    assert refused.value.kind == "damaged"


@pytest.mark.parametrize("claimed", [9_999, 10_001])
def test_a_length_other_than_the_claimed_one_is_a_damaged_image(tmp_path: Path, claimed: int) -> None:
    tree = ZipTree(pack_zip(tmp_path / "a.zip", {"a/0.txt": b"", "a/1.jpg": bytes(10_000)}))
    [entry] = tree.entries()
    with pytest.raises(ImageError, match="its checksum is another"):
        tree.read(entry._replace(size=claimed))


def test_hidden_tars_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    inner = pack_tar(tmp_path / "inner", {"1.jpg": b"1"}).read_bytes()
    outer = pack_tar(tmp_path / "o.tar", {"._n1.tar": b"AppleDouble", "__MACOSX/n1.tar": b"x", "n1.tar": inner})
    assert [entry.path for entry in TarTree(outer).entries()] == ["n1/1.jpg"]


@pytest.mark.parametrize(("mode", "packer"), [("w:xz", "xz"), ("w:bz2", "bzip2")])
def test_a_tar_packed_by_another_program_is_named(tmp_path: Path, mode, packer: str) -> None:
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        add(archive, "a/1.jpg", b"1")
    with pytest.raises(ShardError, match=rf"a\.tar: packed by {packer}; unpack it first"):
        list(TarTree(tmp_path / "a.tar").entries())
