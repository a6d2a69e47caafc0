import json
import os
import shutil
import sys
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo(photos: Path) -> Path:
    return photos / "val" / "blue" / "1.png"


def test_json_has_exactly_the_published_keys(run, photo: Path, photos: Path, weights_file: Path) -> None:
    arguments = ("--among", photos, "--weights", weights_file, "--layer", "fc3", "--top", "3", "--json")
    shown = run("similar", photo, *arguments).json
    assert list(shown) == ["weights", "image", "layer", "similar", "errors"]
    assert (shown["weights"], shown["image"], shown["layer"]) == (str(weights_file), str(photo), "fc3")
    assert [list(near) for near in shown["similar"]] == [["path", "label", "distance"]] * 3
    first = shown["similar"][0]
    assert (first["path"], first["label"]) == ("val/blue/1.png", "blue")


def test_features_that_are_stored_already_are_used(run, photo: Path, photos: Path, weights_file: Path) -> None:
    stored = photos.parent / "f.npz"
    common = ("--weights", weights_file, "--layer", "fc3")
    run("features", photos, *common, "--out", stored)
    among_data, among_stored = (
        run("similar", photo, "--among", among, *common, "--json").json["similar"] for among in (photos, stored)
    )
    assert [near["path"] for near in among_data] == [near["path"] for near in among_stored]
    finished = run("similar", photo, "--among", stored, "--weights", weights_file, "--layer", "conv1")
    assert finished.status == 2
    assert "holds features of fc3, not of conv1" in finished.error


def test_the_picture_is_drawn(run, photo: Path, photos: Path, weights_file: Path, tmp_path: Path) -> None:
    arguments = ("--among", photos / "val", "--weights", weights_file, "--layer", "fc3", "--out", tmp_path / "s.png")
    status, shown, errors = run("similar", photo, *arguments)
    assert (status, errors) == (0, "")
    assert len(shown.splitlines()) == 7
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.width > 3 * picture.height


def test_damaged_images_among_them_are_reported(run, photo: Path, photos: Path, weights_file: Path) -> None:
    (photos / "val/red/1.png").write_text("words")
    arguments = ("--among", photos, "--weights", weights_file, "--layer", "fc3", "--json")
    status, shown, errors = run("similar", photo, *arguments)
    assert status == 2
    assert len(json.loads(shown)["similar"]) == 6
    assert [error["path"] for error in json.loads(shown)["errors"]] == ["val/red/1.png"]
    assert "val/red/1.png" in errors


def test_every_mistake_is_one_line(run, photo: Path, photos: Path, weights_file: Path) -> None:
    for image, among, layer, words in (
        (photos / "no.png", photos, "fc3", "no such file"),
        (photo, photos / "nothing", "fc3", "no such folder"),
        (photo, photos / "nothing.npz", "fc3", "nothing.npz: no such file"),
        (photo, photos, "fc33", "did you mean fc3"),
    ):
        finished = run("similar", image, "--among", among, "--weights", weights_file, "--layer", layer, "--json")
        assert finished.status == 2
        assert words in finished.error


@pytest.mark.parametrize("split", ["val", None])
def test_the_picture_is_drawn_of_stored_features_from_anywhere(
    run, photo: Path, photos: Path, weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split
) -> None:
    """Paths of class folders are relative; the images are found by the folder that is stored with them."""
    common = ("--weights", weights_file, "--layer", "fc3")
    monkeypatch.chdir(photos.parent)
    chosen = ("--split", split) if split else ()
    assert run("features", "photos", *chosen, *common, "--out", tmp_path / "f.npz").status == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for among, out in ((photos, "computed.png"), (tmp_path / "f.npz", "stored.png")):
        split_of = chosen if among == photos else ()
        status, shown, errors = run("similar", photo, "--among", among, *split_of, *common, "--out", tmp_path / out)
        assert (status, errors, len(shown.splitlines())) == (0, "", 7)
    computed, stored = (
        np.asarray(Image.open(tmp_path / name).convert("L")).astype(int) for name in ("computed.png", "stored.png")
    )
    assert (computed != stored).mean() < 0.01  # a distance may round otherwise


def test_neighbours_that_are_gone_or_in_shards_are_drawn_by_name(
    run, photo: Path, photos: Path, weights_file: Path, cut_shard, tmp_path: Path
) -> None:
    common = ("--weights", weights_file, "--layer", "fc3")
    query = tmp_path / "query.png"
    query.write_bytes(photo.read_bytes())
    for data in (photos, cut_shard(".tar", 1.0)):
        run("features", data, *common, "--out", tmp_path / "f.npz")
        if data == photos:
            shutil.rmtree(photos)
        arguments = ("--among", tmp_path / "f.npz", *common, "--out", tmp_path / "s.png")
        status, shown, errors = run("similar", query, *arguments)
        assert (status, errors, len(shown.splitlines())) == (0, "", 7)
        assert (tmp_path / "s.png").is_file()


def test_results_are_printed_even_where_the_picture_cannot_be(
    run, photo: Path, photos: Path, weights_file: Path
) -> None:
    out = photos / "missing/s.png"
    status, shown, errors = run(
        "similar", photo, "--among", photos, "--weights", weights_file, "--layer", "fc3", "--out", out
    )
    assert (status, len(shown.splitlines()), errors.count("\n")) == (1, 7, 1)


def test_a_split_of_stored_features_is_refused(run, photo: Path, photos: Path, weights_file: Path) -> None:
    stored = photos.parent / "f.npz"
    common = ("--weights", weights_file, "--layer", "fc3")
    run("features", photos, *common, "--out", stored)
    finished = run("similar", photo, "--among", stored, *common, "--split", "val")
    assert finished.status == 2
    assert "leave --split out" in finished.error


def test_the_image_may_come_through_a_pipe(
    run, photo: Path, photos: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ("--among", photos, "--weights", weights_file, "--layer", "fc3", "--json")
    with photo.open("rb") as file:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(file))
        piped = run("similar", "-", *arguments, "--out", tmp_path / "s.png").json
    assert piped["image"] == "-"
    assert piped["similar"] == run("similar", photo, *arguments).json["similar"]


def test_odd_names_stay_one_line_and_come_back_from_json(run, photo: Path, photos: Path, weights_file: Path) -> None:
    folder = photos / "odd"
    folder.mkdir()
    names = [os.fsdecode(b"\xff.png"), "two\nlines.png"]
    (folder / names[0]).write_bytes(photo.read_bytes())
    (folder / names[1]).write_text("words")
    arguments = ("--among", folder, "--weights", weights_file, "--layer", "fc3", "--json")
    status, shown, errors = run("similar", photo, *arguments)
    assert status == 2
    assert errors.count("\n") == 1
    assert [near["path"] for near in json.loads(shown)["similar"]] == [str(folder / names[0])]
    assert [error["path"] for error in json.loads(shown)["errors"]] == [str(folder / names[1])]


def test_what_a_picture_needs_is_asked_for_before_the_work(
    run, photo: Path, photos: Path, weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    arguments = ("--among", photos, "--weights", weights_file, "--layer", "fc3", "--out", tmp_path / "s.png")
    finished = run("similar", photo, *arguments)
    assert finished.status == 2
    assert "matplotlib is needed for this" in finished.error


def test_parts_of_features_are_used_as_the_one_file_is(run, photo: Path, photos: Path, weights_file: Path) -> None:
    """With a part of damaged images alone among them; and not before all of them are there."""
    for name in ("a.png", "b.png"):
        (photos / "train" / "blue" / name).write_text("words")
    common = ("--weights", weights_file, "--layer", "fc3")
    file, parts = photos.parent / "f.npz", photos.parent / "parts"
    run("features", photos, *common, "--out", file)
    run("features", photos, *common, "--out", parts, "--images-per-part", "2")
    one, cut = (run("similar", photo, "--among", among, *common, "--json").json for among in (file, parts))
    assert [near["path"] for near in one["similar"]] == [near["path"] for near in cut["similar"]]
    (parts / "part-00003-of-00013.npz").unlink()
    assert "not all of its parts yet" in run("similar", photo, "--among", parts, *common).error
    predicted = photos.parent / "predicted"
    run("predict", photos, "--weights", weights_file, "--out", predicted)
    assert "holds predictions as npz" in run("similar", photo, "--among", predicted, *common).error
