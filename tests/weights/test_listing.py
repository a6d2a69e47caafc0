from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from alexnet.errors import WeightsError
from alexnet.export.openvino import save_openvino
from alexnet.weights import Weights, named, save_weights
from alexnet.weights.listing import list_named, list_weights
from alexnet.weights.named import NAMED

ERRORS = ({"data": "x", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None},)


@pytest.fixture
def runs(tmp_path: Path, tiny_weights: Weights) -> Path:
    """One run with its best, one with its last, one with none, a file, a cut file, and things that are no weights."""
    for name, files in {"a": ["best", "last"], "b": ["last"], "c": []}.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        for file in files:
            save_weights(folder / f"{file}.safetensors", replace(tiny_weights, errors=ERRORS))
    save_weights(tmp_path / "runs/d.safetensors", tiny_weights)
    whole = (tmp_path / "runs/d.safetensors").read_bytes()
    (tmp_path / "runs/e.safetensors").write_bytes(whole[:-1])
    (tmp_path / "runs/notes.txt").touch()
    (tmp_path / "runs/.f.safetensors").touch()
    (tmp_path / "runs/empty").mkdir()
    return tmp_path / "runs"


def test_a_folder_lists_its_runs_and_files_by_name(runs: Path) -> None:
    found = list_weights([runs])
    assert [Path(entry.name).name for entry in found] == ["a", "b", "c", "d.safetensors", "e.safetensors"]
    assert [entry.state for entry in found[:4]] == ["best", "last", "no weights yet", "file"]
    assert found[4].state.startswith("damaged: not a whole safetensors file")
    best = found[0]
    assert (best.net, best.classes, best.licence, best.errors) == ("tiny", 6, None, ERRORS)
    assert best.bytes == (runs / "a/best.safetensors").stat().st_size
    assert best.date is not None
    assert (found[2].net, found[2].bytes, found[2].date) == (None, None, None)


def test_places_may_be_mixed(runs: Path) -> None:
    assert [entry.state for entry in list_weights([runs / "b", runs / "d.safetensors"])] == ["last", "file"]


def test_tensors_are_not_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object) -> None:
        raise AssertionError("the tensors were read")

    monkeypatch.setattr("alexnet.weights.files._views", refuse)
    assert list_weights([runs])[0].state == "best"


def test_what_cannot_be_used_says_why(tmp_path: Path, runs: Path) -> None:
    (tmp_path / "words.safetensors").write_text("words")
    save_file({}, tmp_path / "foreign.safetensors")
    for name, words in (("words", "damaged: not a file of weights"), ("foreign", "damaged: a safetensors file of an")):
        [entry] = list_weights([tmp_path / f"{name}.safetensors"])
        assert entry.state.startswith(words)
    with pytest.raises(WeightsError, match=r"nothing at '.*nowhere': give run folders"):
        list_weights([tmp_path / "nowhere"])
    assert list_weights([runs / "empty"]) == []


def test_a_model_in_two_files_is_one_entry_as_large_as_both(tmp_path: Path, tiny_weights: Weights) -> None:
    pytest.importorskip("openvino")
    save_openvino(tmp_path / "net.xml", tiny_weights)
    [entry] = list_weights([tmp_path])
    assert entry.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_named_weights_say_whether_they_are_here(
    tmp_path: Path, tiny_weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(named, "SHIPPED", tmp_path)
    save_weights(tmp_path / "tiny-imagenet-200.safetensors", replace(tiny_weights, errors=ERRORS))
    NAMED["caffe"].path.parent.mkdir(parents=True)
    NAMED["caffe"].path.write_bytes(b"12345")
    found = {entry.name: entry for entry in list_named()}
    assert list(found) == list(NAMED)
    shipped, cached, official = found["tiny-imagenet-200"], found["caffe"], found["torchvision"]
    assert (shipped.state, shipped.net, shipped.classes, shipped.errors) == ("shipped", "tiny", 6, ERRORS)
    assert (cached.state, cached.net, cached.classes, cached.bytes) == ("cached, not checked", "caffe", 1000, 5)
    assert cached.date is not None
    assert (official.state, official.bytes, official.date) == ("not fetched", 244_408_911, None)
    assert (official.licence, official.errors) == ("BSD-3-Clause", NAMED["torchvision"].errors)
    assert list_weights(["caffe"]) == [cached]


def test_a_damaged_install_does_not_end_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "SHIPPED", tmp_path)
    state = list_named()[0].state
    assert state.startswith("damaged: ")
    assert state.endswith("; install alexnet again: these weights come with it")


def test_files_of_other_programs_are_listed_where_they_are_named(random_tensors, write_caffemodel) -> None:
    [entry] = list_weights([write_caffemodel(random_tensors("caffe", 7), "CaffeNet")])
    assert (entry.state, entry.net, entry.classes, entry.licence) == ("file", "caffenet", 7, None)
