import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from alexnet.data.splits import DataSet
from alexnet.errors import InputError
from alexnet.train.options import RunOptions, begin_folder, check_unused, describe_data, stored_options

OPTIONS = RunOptions(
    data="digits",
    net="digits",
    recipe="caffe",
    weights="parent.safetensors",
    epochs=3,
    batch_size=8,
    lr=0.1,
    seed=4,
    precision="fp32",
    limit_train_batches=5,
)
OTHER = RunOptions(
    data="elsewhere",
    net="caffe",
    recipe="paper",
    weights="other.safetensors",
    epochs=4,
    batch_size=9,
    lr=0.2,
    seed=0,
    precision="bf16",
    limit_train_batches=6,
)


@pytest.fixture
def run_folder(tmp_path: Path, digits: DataSet) -> Path:
    begin_folder(tmp_path / "deep/run", OPTIONS, {"data": describe_data(digits)})
    return tmp_path / "deep/run"


def test_run_json_keeps_what_was_asked_for(run_folder: Path) -> None:
    kept = json.loads((run_folder / "run.json").read_text())
    assert len(kept["data"].pop("digest")) == 32
    assert kept == {
        "format": 1,
        "options": asdict(OPTIONS),
        "data": {"name": "digits", "classes": 10, "images": {"train": 1438, "test": 359}},
    }


def test_a_resumed_run_has_the_options_it_was_begun_with(run_folder: Path, digits: DataSet) -> None:
    assert stored_options(run_folder, RunOptions(data="digits"), digits) == OPTIONS
    assert stored_options(run_folder, OPTIONS, digits) == OPTIONS


def test_other_images_of_the_same_number_are_other_data(run_folder: Path, digits: DataSet) -> None:
    renamed = replace(digits, classes=tuple(replace(info, name=f"no {info.name}") for info in digits.classes))
    with pytest.raises(InputError, match="was begun on other data"):
        stored_options(run_folder, RunOptions(data="digits"), renamed)


def test_the_data_may_have_moved(run_folder: Path, digits: DataSet) -> None:
    moved = stored_options(run_folder, RunOptions(data="moved/elsewhere"), replace(digits, name="elsewhere"))
    assert moved == replace(OPTIONS, data="moved/elsewhere")


@pytest.mark.parametrize("name", [field.name for field in fields(RunOptions) if field.name != "data"])
def test_another_option_is_refused_by_name(run_folder: Path, digits: DataSet, name: str) -> None:
    was, now = getattr(OPTIONS, name), getattr(OTHER, name)
    with pytest.raises(InputError, match=f"was begun with {name} {was}, not {now}"):
        stored_options(run_folder, RunOptions(data="digits", **{name: now}), digits)


def test_other_data_are_refused(run_folder: Path, digits: DataSet) -> None:
    fewer = replace(digits, splits={"train": digits.split("train")}, name="fewer")
    with pytest.raises(InputError, match=r"begun on other data \(digits\); fewer has not the same images"):
        stored_options(run_folder, RunOptions(data="fewer"), fewer)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"words"', "{}", '{"options": {}}', '{"options": {"data": "d", "colour": 1}, "data": {}}', "\xff"],
)
def test_a_damaged_run_json_is_one_line(run_folder: Path, digits: DataSet, content: str) -> None:
    path = run_folder / "run.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="is damaged") as failure:
        stored_options(run_folder, RunOptions(data="digits"), digits)
    assert str(failure.value).startswith(str(path))


@pytest.mark.parametrize("place", ["", "nowhere", "file", "file/below"])
def test_a_folder_without_a_run_cannot_be_resumed(tmp_path: Path, digits: DataSet, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="holds no run to resume"):
        stored_options(tmp_path / place, RunOptions(data="digits"), digits)


@pytest.mark.parametrize("place", ["new", "", "new/below"])
def test_a_folder_without_a_run_is_free(tmp_path: Path, place: str) -> None:
    (tmp_path / "notes.txt").touch()
    check_unused(tmp_path / place)


def test_a_folder_with_a_run_is_not(run_folder: Path) -> None:
    with pytest.raises(InputError, match="already holds a run; continue it with --resume or choose another --out"):
        check_unused(run_folder)


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_file_in_the_way_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{tmp_path / 'file'} is a file"):
        check_unused(tmp_path / place)
