import json
from pathlib import Path
from shutil import rmtree

import pytest

KEYS = {"top1_error", "top5_error", "loss", "images", "views", "split", "images_per_second"}


@pytest.mark.parametrize(("views", "split"), [("center", "val"), ("ten", "train")])
def test_json_has_exactly_the_published_keys(run, photos: Path, weights_file: Path, views: str, split: str) -> None:
    arguments = ("--weights", weights_file, "--views", views, "--split", split, "--json")
    shown = run("evaluate", photos, *arguments).json
    assert shown.keys() == KEYS
    assert (shown["images"], shown["views"], shown["split"]) == (12, views, split)
    assert 0 <= shown["top5_error"] <= shown["top1_error"] <= 1


def test_the_validation_split_is_the_default(run, photos: Path, weights_file: Path) -> None:
    assert run("evaluate", photos, "--weights", weights_file, "--json").json["split"] == "val"


def test_data_that_hold_nothing_out_ask_for_a_split(run, photos: Path, weights_file: Path) -> None:
    for split in ("val", "test"):
        rmtree(photos / split, ignore_errors=True)
    for path in photos.rglob("*.png"):
        if path.name != "0.png":
            path.unlink()
    finished = run("evaluate", photos, "--weights", weights_file)
    assert (finished.status, finished.error) == (
        2,
        "photos holds no images out; measure on those there are: --split train",
    )


@pytest.mark.parametrize("spelling", [["--weights", "W", "W"], ["--weights", "W", "--weights", "W"]])
def test_several_weights_are_an_ensemble(run, photos: Path, weights_file: Path, spelling: list[str]) -> None:
    arguments = [weights_file if word == "W" else word for word in spelling]
    one = run("evaluate", photos, "--weights", weights_file, "--json").json
    two = run("evaluate", photos, *arguments, "--json").json
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert "2 nets" in run("evaluate", photos, *arguments).stdout


def test_the_text_says_the_protocol_with_the_numbers(run, photos: Path, weights_file: Path) -> None:
    status, shown, errors = run("evaluate", photos, "--weights", weights_file, "--views", "ten")
    assert (status, errors) == (0, "")
    assert [line.split()[0] for line in shown.splitlines()[:3]] == ["top-1", "top-5", "loss"]
    assert "photos val, 12 images, ten views, 1 net, " in shown


def test_every_mistake_is_one_line_and_exit_2(run, photos: Path, weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights_file.read_bytes()[:-100])
    mistakes = {
        "no such folder": (tmp_path / "nothing", "--weights", weights_file),
        "no weights at": (photos, "--weights", tmp_path / "nothing"),
        "not a whole safetensors file": (photos, "--weights", tmp_path / "cut.safetensors"),
        "photos has no test": (photos, "--weights", weights_file, "--split", "test"),
        "none of ILSVRC's 1,000 classes": (photos, "--weights", weights_file, "--class-order", "devkit"),
        "no flat validation images": (photos, "--weights", weights_file, "--ground-truth", tmp_path / "truth.txt"),
        "net.onnx is weights; DATA comes first": (tmp_path / "net.onnx", "--weights", weights_file),
        "unknown engine": (photos, "--weights", weights_file, "--engine", "steam"),
    }
    for words, arguments in mistakes.items():
        finished = run("evaluate", *arguments, "--json")
        assert finished.status == 2
        assert words in finished.error


def test_a_damaged_image_is_named_and_does_not_count(run, photos: Path, weights_file: Path) -> None:
    damaged = photos / "val" / "blue" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    status, shown, news = run("evaluate", photos, "--weights", weights_file, "--json")
    assert status == 0
    assert json.loads(shown)["images"] == 11
    assert news == f"left out: {damaged}: damaged or truncated image (image file is truncated)\n"


def test_a_split_of_damaged_images_alone_is_refused(run, photos: Path, weights_file: Path) -> None:
    for path in (photos / "val").rglob("*.png"):
        path.write_bytes(b"words")
    finished = run("evaluate", photos, "--weights", weights_file, "--json")
    assert (finished.status, finished.stdout) == (2, "")
    assert "images cannot be read, the last one is" in finished.stderr.splitlines()[-1]


def test_spoiled_weights_are_one_line(run, photos: Path, spoiled_weights: tuple[Path, str]) -> None:
    path, words = spoiled_weights
    finished = run("evaluate", photos, "--weights", path, "--json")
    assert finished.status == 2
    assert str(path) in finished.error
    assert words in finished.error


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_shard_cut_in_the_middle_is_named(run, cut_shard, weights_file: Path, suffix: str) -> None:
    finished = run("evaluate", cut_shard(suffix, 0.5), "--weights", weights_file, "--json")
    assert finished.status == 2
    assert f"pictures{suffix}" in finished.error


def test_a_copy_of_weights_is_read_as_the_original(run, photos: Path, respelled) -> None:
    """So what spoiled weights are refused for is what was spoiled in them."""
    copied = respelled(lambda tensors: None)
    assert run("evaluate", photos, "--weights", copied, "--json").json["images"] == 12


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir], ids=["missing", "empty"])
def test_a_folder_without_data_is_named(run, tmp_path: Path, weights_file: Path, make) -> None:
    make(tmp_path / "data")
    finished = run("evaluate", tmp_path / "data", "--weights", weights_file, "--json")
    assert finished.status == 2
    assert str(tmp_path / "data") in finished.error


def test_weights_in_the_place_of_data_are_told_apart(run, photos: Path, weights_file: Path) -> None:
    """`--weights A B DATA` reads A as weights and B as data."""
    finished = run("evaluate", "--weights", weights_file, weights_file, photos)
    assert finished.status == 2
    assert "DATA comes first" in finished.error


def test_what_is_missing_is_shown_by_an_example(run) -> None:
    """Of weights that everybody has."""
    finished = run("evaluate", "digits")
    assert (finished.status, finished.stdout) == (2, "")
    assert (
        "Missing option '--weights', as in: alexnet evaluate tiny-imagenet --weights tiny-imagenet-200"
        in finished.error
    )
    assert "as in: alexnet verify tiny-imagenet-200" in run("verify").error
