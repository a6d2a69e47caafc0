from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.weights import Weights, save_weights

KEYS = ["name", "state", "net", "classes", "bytes", "date", "licence", "errors"]


@pytest.fixture
def here(tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one run, its errors measured."""
    folder = tmp_path / "here/runs/first"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    errors = ({"data": "photos", "split": "val", "views": "ten", "top1_error": 0.25, "top5_error": 0.031},)
    save_weights(folder / "best.safetensors", replace(tiny_weights, errors=errors))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_runs_here_are_listed_without_being_named(run, here: Path) -> None:
    [found] = run("weights", "--json").json["weights"]
    assert list(found) == KEYS
    assert (found["name"], found["state"], found["net"], found["classes"]) == ("runs/first", "best", "tiny", 6)
    assert found["errors"][0]["top5_error"] == 0.031
    shown = run("weights").stdout
    assert "runs/first" in shown
    assert "25.0% / 3.1% on photos val, ten" in shown


def test_a_listed_name_is_one_that_other_verbs_take(run, here: Path) -> None:
    name = run("weights", "--json").json["weights"][0]["name"]
    assert run("weights", name, "--json").json["weights"][0]["name"] == name


def test_where_there_are_none_it_says_how_to_get_some(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for make in (lambda: None, Path("runs").mkdir):
        make()
        assert run("weights", "--json").json == {"weights": []}
        assert "no weights in runs; `alexnet train DATA` makes some" in run("weights").stdout
    finished = run("weights", "nowhere")
    assert finished.status == 2
    assert "nothing at 'nowhere'" in finished.error
