import os
import shutil
import sys
from pathlib import Path

import pytest

from alexnet.data import trees
from alexnet.data.trees import FolderTree, fingerprint
from alexnet.errors import DataError, ImageError


def paths(root: Path) -> list[str]:
    return sorted(entry.path for entry in FolderTree(root).entries())


def test_a_walk_finds_what_a_slow_search_finds(class_folders) -> None:
    root = class_folders({"a": 3, "b": 2, "b/c/d.jpg": 1})
    (root / "a" / "notes.txt").write_text("")
    assert paths(root) == sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))


unix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need privileges there")


@unix
def test_links_are_followed_once_and_never_in_a_circle(class_folders, tmp_path: Path) -> None:
    root = class_folders({"a": 1, "b": 1})
    elsewhere = class_folders({"images": 2}, below="elsewhere")
    (root / "a" / "linked").symlink_to(elsewhere / "images")
    (root / "a" / "back").symlink_to(root)
    (root / "a" / "self").symlink_to("self")
    (elsewhere / "images" / "home").symlink_to(root / "a")
    assert paths(root) == ["a/000.png", "a/linked/000.png", "a/linked/001.png", "b/000.png"]


@unix
def test_folders_that_link_to_each_other_are_listed_once_each(class_folders) -> None:
    names = "abcdefghi"
    root = class_folders(dict.fromkeys(names, 1))
    for one in names:
        for other in names:
            (root / one / f"to-{other}").symlink_to(root / other)
    assert paths(root) == [f"{name}/000.png" for name in names]


@unix
def test_of_two_links_to_one_folder_the_first_by_name_counts(class_folders, tmp_path: Path) -> None:
    elsewhere = class_folders({"images": 1}, below="elsewhere")
    for order in ("zab", "baz"):
        root = tmp_path / order
        root.mkdir()
        for name in order:
            (root / name).symlink_to(elsewhere)
        assert paths(root) == ["a/images/000.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="paths are shorter there")
def test_folders_may_lie_deeper_than_python_recurses(tmp_path: Path) -> None:
    depth = sys.getrecursionlimit() + 100
    folders = [tmp_path.joinpath(*["d"] * level) for level in range(1, depth + 1)]
    for folder in folders:
        folder.mkdir()
    image = folders[-1] / "x.png"
    image.touch()
    assert paths(tmp_path) == ["d/" * depth + "x.png"]
    image.unlink()
    for folder in reversed(folders):  # what removes a test's files may recurse
        folder.rmdir()


def test_all_names_of_jpeg_count_and_other_files_are_counted_by_suffix(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.JPE", "c.heic", "d.heic", "e", "f.txt", ".hidden"):
        (tmp_path / name).touch()
    tree = FolderTree(tmp_path)
    for _ in range(2):
        assert sorted(entry.path for entry in tree.entries()) == ["a.jfif", "b.JPE"]
        assert tree.passed_over == {".heic": 2, "": 1, ".txt": 1}


def test_own_images_are_those_that_lie_in_no_folder(class_folders) -> None:
    root = class_folders({"a": 1, "b.png": 0})
    assert not FolderTree(root).has_own_images()
    assert FolderTree(root).has_images()
    assert FolderTree(root / "a").has_own_images()
    assert not FolderTree(root / "b.png").has_images()


def test_every_change_of_a_file_changes_the_fingerprint(class_folders) -> None:
    root = class_folders({"a": 2, "b": 2})
    tree, seen = FolderTree(root), set()
    image = root / "a" / "000.png"
    for change in (
        lambda: None,
        lambda: os.utime(image, ns=(0, 10**18)),
        lambda: image.write_bytes(b"shorter"),
        lambda: image.rename(root / "a" / "9.png"),
        lambda: shutil.copy(root / "b" / "000.png", root / "b" / "new.png"),
        lambda: (root / "b" / "000.png").unlink(),
    ):
        change()
        seen.add(tree.fingerprint(tree.entries()))
        assert tree.fingerprint(tree.entries()) == fingerprint(reversed(list(tree.entries())))
    assert len(seen) == 6


@unix
def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "big.jpg").write_bytes(b"12345")
    (tmp_path / "a" / "gone.jpg").touch()
    found = {entry.path: entry for entry in FolderTree(tmp_path).entries()}
    (tmp_path / "a" / "gone.jpg").unlink()
    monkeypatch.setattr(trees, "MOST_BYTES", 4)
    for name, words in {
        "link": "a link that leads nowhere",
        "pipe": "not a file with content",
        "big": "5 bytes are too many",
        "gone": "gone since the folder was listed",
    }.items():
        with pytest.raises(ImageError, match=rf"a/{name}\.jpg: {words}"):
            FolderTree(tmp_path).read(found[f"a/{name}.jpg"])


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: cannot be read \(No such file"):
        list(FolderTree(tmp_path / "nowhere").entries())
