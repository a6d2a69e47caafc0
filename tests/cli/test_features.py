import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

KEYS = ["weights", "out", "layers", "images", "errors", "images_per_second"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "f.npz"


def test_json_has_exactly_the_published_keys(run, photos: Path, weights_file: Path, out: Path) -> None:
    arguments = ("--layer", "fc3", "--layer", "conv1:pre", "--out", out, "--json")
    shown = run("features", photos, "--weights", weights_file, *arguments).json
    assert list(shown) == KEYS
    assert shown["layers"] == {"fc3": [24, 16], "conv1:pre": [24, 8, 10, 10]}
    assert (shown["weights"], shown["out"], shown["images"], shown["errors"]) == (str(weights_file), str(out), 24, [])
    with np.load(out) as arrays:
        assert arrays["features"].shape == (24, 16)
        assert arrays["features.conv1:pre"].shape == (24, 8, 10, 10)
        assert arrays["labels"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5] * 2
        assert arrays["classes"][arrays["labels"][0]] == Path(arrays["paths"][0]).parent.name == "blue"


def test_a_split_loose_images_and_a_pipe(run, photos: Path, weights_file: Path, out: Path) -> None:
    def labels(*arguments: str | Path) -> list[int]:
        assert run("features", *arguments, "--weights", weights_file, "--layer", "fc3", "--out", out).status == 0
        with np.load(out) as arrays:
            return arrays["labels"].tolist()

    assert labels(photos, "--split", "val") == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert labels(photos / "val/red", photos / "val/blue/0.png") == [-1, -1, -1]
    command = [sys.executable, "-m", "alexnet", "features", "-", "--weights", weights_file, "--layer", "fc3"]
    content = (photos / "val/red/0.png").read_bytes()
    done = subprocess.run([*command, "--out", out, "--json"], input=content, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert np.load(out)["paths"].tolist() == ["-"]


def test_damaged_images_are_reported_the_rest_is_written(run, photos: Path, weights_file: Path, out: Path) -> None:
    (photos / "val/red/1.png").write_text("words")
    arguments = ("--weights", weights_file, "--layer", "fc3", "--out", out, "--json")
    status, shown, errors = run("features", photos, *arguments)
    assert status == 2
    [error] = json.loads(shown)["errors"]
    assert error["path"] == "val/red/1.png"
    assert errors == f"alexnet: error: {error['error']}\n"
    assert len(np.load(out)["features"]) == json.loads(shown)["images"] == 23


def test_every_mistake_is_one_line_and_no_file(run, photos: Path, weights_file: Path, out: Path) -> None:
    (photos / "empty").mkdir()
    good: dict[str, str | Path] = {"--weights": weights_file, "--layer": "fc3", "--out": out}
    mistakes: dict[str, tuple[Path, dict[str, str | Path]]] = {
        "unknown layer 'fc33'; did you mean fc3": (photos, {"--layer": "fc33"}),
        "unknown layer 'fc7'": (photos, {"--layer": "fc7"}),
        "call the file": (photos, {"--out": out.with_suffix(".h5")}),
        "missing/f.npz: No such file or directory": (photos, {"--out": out.parent / "missing/f.npz"}),
        "empty": (photos / "empty", {}),
        "no such folder": (photos / "nothing", {}),
        "no.png: no such file": (photos / "no.png", {}),
        "has no test": (photos, {"--split": "test"}),
        "no weights at": (photos, {"--weights": out.parent / "nothing"}),
    }
    before = sorted(out.parent.iterdir())
    for words, (data, changed) in mistakes.items():
        options = [word for pair in (good | changed).items() for word in pair]
        finished = run("features", data, *options, "--json")
        assert finished.status in (1, 2)
        assert words in finished.error
        assert sorted(out.parent.iterdir()) == before
