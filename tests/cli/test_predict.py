import json
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.engines import choose_engine


@pytest.fixture
def photo(photos: Path) -> Path:
    return photos / "val" / "blue" / "0.png"


def test_json_has_exactly_the_published_keys(run, photo: Path, weights_file: Path) -> None:
    shown = run("predict", photo, "--weights", weights_file, "--top", "3", "--json").json
    assert list(shown) == ["weights", "engine", "predictions", "errors"]
    assert (shown["weights"], shown["engine"], shown["errors"]) == (str(weights_file), choose_engine(), [])
    [prediction] = shown["predictions"]
    assert list(prediction) == ["path", "top"]
    assert prediction["path"] == str(photo)
    assert [list(each) for each in prediction["top"]] == [["label", "index", "probability"]] * 3


def test_a_folder_is_all_the_images_in_it(run, photos: Path, photo: Path, weights_file: Path) -> None:
    shown = run("predict", photos / "val", photo, "--weights", weights_file, "--views", "ten", "--json").json
    assert len(shown["predictions"]) == 13
    paths = [each["path"] for each in shown["predictions"][:12]]
    assert paths == sorted(paths)


def test_bars_are_drawn_under_each_path(run, photo: Path, weights_file: Path) -> None:
    status, shown, errors = run("predict", photo, "--weights", weights_file)
    assert (status, errors) == (0, "")
    first, *rest = shown.splitlines()
    assert first == str(photo)
    assert len(rest) == 5
    assert all("%" in line for line in rest)
    assert "█" in rest[0]


def test_one_bad_image_among_several_is_reported_and_the_rest_printed(
    run, photo: Path, weights_file: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("words")
    status, shown, errors = run("predict", photo, bad, photo, "--weights", weights_file, "--json")
    assert status == 2
    assert len(json.loads(shown)["predictions"]) == 2
    [error] = json.loads(shown)["errors"]
    assert error["path"] == str(bad)
    assert errors == f"alexnet: error: {error['error']}\n"
    status, shown, errors = run("predict", photo, bad, "--weights", weights_file)
    assert (status, shown.splitlines()[0]) == (2, str(photo))
    assert str(bad) in errors


def test_a_bad_image_alone_is_one_line_and_nothing_else(run, weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nothing.png", weights_file, tmp_path / "empty"):
        finished = run("predict", path, "--weights", weights_file, "--json")
        assert finished.status == 2
        assert str(path) in finished.error


def test_an_image_can_come_through_a_pipe(photo: Path, weights_file: Path) -> None:
    command = [sys.executable, "-m", "alexnet", "predict", "-", "--weights", str(weights_file), "--json"]
    done = subprocess.run(command, input=photo.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["predictions"][0]["path"] == "-"


def test_what_comes_through_a_pipe_and_is_no_image_is_named(photo: Path, weights_file: Path) -> None:
    command = [sys.executable, "-m", "alexnet", "predict", "-", str(photo), "--weights", str(weights_file), "--json"]
    done = subprocess.run(command, input=b"words", capture_output=True, check=False)
    shown = json.loads(done.stdout)
    assert done.returncode == 2
    assert [each["path"] for each in shown["predictions"]] == [str(photo)]
    assert shown["errors"] == [{"path": "-", "error": "<stdin>: not an image (no format that is read here)"}]


def test_spoiled_weights_are_one_line(run, photo: Path, spoiled_weights: tuple[Path, str]) -> None:
    path, words = spoiled_weights
    finished = run("predict", photo, "--weights", path, "--json")
    assert finished.status == 2
    assert str(path) in finished.error
    assert words in finished.error


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"words", "not a file of weights"),
        (b"PK\x03\x04...", "zip archive"),
        (None, "no weights"),
    ],
)
def test_what_is_no_weights_is_said_in_one_line(
    run, photo: Path, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    finished = run("predict", photo, "--weights", path)
    assert finished.status == 2
    assert words in finished.error


def test_a_closed_stdin_is_one_line(run, weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    finished = run("predict", "-", "--weights", weights_file)
    assert finished.status == 2
    assert "nothing on stdin" in finished.error


def test_a_name_too_long_for_any_file_is_bad_input(run, weights_file: Path) -> None:
    assert run("predict", "a" * 300, "--weights", weights_file).status == 2


def test_without_weights_the_shipped_ones_answer(run, photo: Path) -> None:
    shown = run("predict", photo, "--json").json
    assert shown["weights"] == "tiny-imagenet-200"
    assert len(shown["predictions"][0]["top"]) == 5
