import json
from pathlib import Path

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
    assert len(shown.splitlines()) == 6
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
        (photo, photos / "nothing.npz", "fc3", "nothing.npz: damaged, or no NPZ file"),
        (photo, photos, "fc33", "did you mean fc3"),
    ):
        finished = run("similar", image, "--among", among, "--weights", weights_file, "--layer", layer, "--json")
        assert finished.status == 2
        assert words in finished.error
