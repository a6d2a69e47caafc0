import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from alexnet.weights import Weights, named, save_weights
from alexnet.weights.named import NAMED

KEYS = ["name", "state", "net", "classes", "bytes", "date", "licence", "errors"]


@pytest.fixture
def here(tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one run, its errors measured."""
    folder = tmp_path / "here/runs/first"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    measured = {"data": "photos", "split": "val", "views": "ten", "top1_error": 0.25, "top5_error": 0.031}
    errors = (measured, measured | {"split": "test", "images": 5000})
    save_weights(folder / "best.safetensors", replace(tiny_weights, errors=errors))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes with the package, and an empty cache."""
    monkeypatch.setattr(named, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shipped").mkdir()
    save_weights(tmp_path / "shipped/tiny-imagenet-200.safetensors", tiny_weights)


def test_runs_here_are_listed_without_being_named(run, here: Path) -> None:
    found, *more = run("weights", "--json").json["weights"]
    assert [each["name"] for each in more] == list(NAMED)
    assert list(found) == KEYS
    assert (found["name"], found["state"], found["net"], found["classes"]) == ("runs/first", "best", "tiny", 6)
    assert found["errors"][0]["top5_error"] == 0.031
    shown = run("weights").stdout
    assert "runs/first" in shown
    assert "25.0% / 3.1% on photos val, ten; 25.0% / 3.1% on 5,000 images of photos test, ten" in shown


def test_a_listed_name_is_one_that_other_verbs_take(run, here: Path) -> None:
    name = run("weights", "--json").json["weights"][0]["name"]
    assert run("weights", name, "--json").json["weights"][0]["name"] == name


def test_names_are_listed_whether_there_are_runs_or_not(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for make in (lambda: None, Path("runs").mkdir):
        make()
        found = run("weights", "--json").json["weights"]
        assert [(each["name"], each["state"]) for each in found] == [
            ("tiny-imagenet-200", "shipped"),
            *((name, "not fetched") for name in ("torchvision", "caffe", "caffenet", "deep-compression")),
        ]
        assert list(found[1]) == KEYS
        shown = run("weights").stdout
        assert "43.5% / 20.9% on 50,000 images of ILSVRC-2012 val, center" in shown
        assert "BSD-3-Clause" in shown


def test_one_name_can_be_asked_for(run) -> None:
    [found] = run("weights", "deep-compression", "--json").json["weights"]
    assert (found["net"], found["bytes"], found["licence"]) == ("caffe", 9_037_369, "BSD-2-Clause")


def test_where_there_are_none_it_says_how_to_get_some(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("weights", tmp_path / "empty", "--json").json == {"weights": []}
    assert "`alexnet train DATA` makes some" in run("weights", tmp_path / "empty").stdout
    finished = run("weights", "nowhere")
    assert finished.status == 2
    assert "nothing at 'nowhere'" in finished.error


@pytest.mark.parametrize("odd", [{"errors": [1, 2]}, {"errors": [{}]}, {"errors": "x"}, {"licence": 5}])
def test_one_odd_file_does_not_end_the_listing(run, here: Path, odd: dict[str, object]) -> None:
    whole = here / "runs/first/best.safetensors"
    with safe_open(whole, framework="np") as file:
        metadata = json.loads(file.metadata()["alexnet"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, here / "runs/odd.safetensors", {"alexnet": json.dumps(metadata | odd)})
    found = run("weights", "runs", "--json").json["weights"]
    assert [entry["state"][:7] for entry in found] == ["best", "damaged"]
    assert run("weights").status == 0


def test_licences_have_a_column_where_there_are_some(run, here: Path) -> None:
    assert "licence" not in run("weights", "runs").stdout
    whole = here / "runs/first/best.safetensors"
    with safe_open(whole, framework="np") as file:
        metadata = json.loads(file.metadata()["alexnet"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, here / "runs/public.safetensors", {"alexnet": json.dumps(metadata | {"licence": "CC0-1.0"})})
    shown = run("weights", "runs").stdout
    assert "licence" in shown
    assert "CC0-1.0" in shown
