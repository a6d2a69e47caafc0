import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.arch import find
from alexnet.arch.serial import spec_to_json
from alexnet.data.splits import DataSet
from alexnet.data.statistics import Statistics, fit
from alexnet.errors import AlexNetError, InputError
from alexnet.preprocess import Preprocessing
from alexnet.recipes import RECIPES
from alexnet.train.beginning import Beginning
from alexnet.train.folder import begin_run, check_data, check_unused, describe_data, read_run
from alexnet.train.options import RunOptions

OPTIONS = RunOptions(
    data="digits",
    ground_truth="labels.txt",
    class_order="devkit",
    net="digits",
    recipe="caffe",
    weights="parent.safetensors",
    epochs=3,
    batch_size=8,
    lr=0.1,
    seed=4,
    precision="fp32",
    limit_train_batches=5,
    until_error=0.5,
    prune_to=1000,
    share_values=False,
    input_size=16,
)
OTHER = RunOptions(
    data="elsewhere",
    ground_truth="other.txt",
    class_order="sorted",
    net="caffe",
    recipe="paper",
    weights="other.safetensors",
    epochs=4,
    batch_size=9,
    lr=0.2,
    seed=0,
    precision="bf16",
    limit_train_batches=6,
    until_error=0.25,
    prune_to=2000,
    share_values=True,
    input_size=32,
)


@pytest.fixture(scope="module")
def statistics(digits: DataSet) -> Statistics:
    return fit(digits.split("test"), 18, "bilinear")


@pytest.fixture(scope="module")
def beginning(statistics: Statistics) -> Beginning:
    preprocessing = Preprocessing(resize=18, crop=16, mean_image=statistics.mean_image)
    return Beginning(spec=find("digits"), recipe=RECIPES["digits"], preprocessing=preprocessing, statistics=statistics)


@pytest.fixture
def run_folder(tmp_path: Path, digits: DataSet, beginning: Beginning) -> Path:
    folder = tmp_path / "deep/run"
    folder.mkdir(parents=True)
    begin_run(folder, OPTIONS, beginning, {"data": describe_data(digits)})
    return folder


def stored_options(folder: Path, asked: RunOptions, dataset: DataSet) -> RunOptions:
    kept = read_run(folder, asked)
    check_data(folder, kept, dataset)
    return kept.options


def test_run_json_keeps_what_was_asked_for(run_folder: Path, beginning: Beginning) -> None:
    kept = json.loads((run_folder / "run.json").read_text())
    assert len(kept["data"].pop("digest")) == 32
    assert kept == {
        "format": 2,
        "options": asdict(OPTIONS),
        "net": spec_to_json(beginning.spec),
        "preprocessing": beginning.preprocessing.to_json(),
        "mean_image": "mean_image.npy",
        "statistics": "statistics.npz",
        "recipe": RECIPES["digits"].to_json(),
        "data": {"name": "digits", "classes": 10, "images": {"train": 1438, "test": 359}},
    }


def test_what_a_run_began_with_comes_back(run_folder: Path, digits: DataSet, beginning: Beginning) -> None:
    found = read_run(run_folder, OPTIONS).beginning
    assert (found.spec, found.recipe) == (beginning.spec, beginning.recipe)
    assert found.preprocessing == beginning.preprocessing
    np.testing.assert_array_equal(found.preprocessing.mean_image, beginning.preprocessing.mean_image)
    np.testing.assert_array_equal(found.statistics.pca_stdevs, beginning.statistics.pca_stdevs)


def test_a_run_without_mean_image_and_statistics_has_none_of_their_files(
    tmp_path: Path, digits: DataSet, beginning: Beginning
) -> None:
    plain = replace(beginning, preprocessing=Preprocessing(resize=18, crop=16), statistics=None)
    begin_run(tmp_path, OPTIONS, plain, {"data": describe_data(digits)})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    found = read_run(tmp_path, OPTIONS).beginning
    assert (found.preprocessing.mean_image, found.statistics) == (None, None)


@pytest.mark.parametrize("name", ["mean_image.npy", "statistics.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_run_that_lacks_what_it_began_with_is_not_resumed(
    run_folder: Path, digits: DataSet, name: str, damage: str
) -> None:
    path = run_folder / name
    path.write_bytes(path.read_bytes()[:100])
    if damage == "missing":
        path.unlink()
    with pytest.raises(AlexNetError) as failure:
        read_run(run_folder, OPTIONS)
    assert failure.value.exit_status == 2
    assert name in str(failure.value) or "run.json is damaged" in str(failure.value)


def test_a_run_of_another_format_is_refused(run_folder: Path, digits: DataSet) -> None:
    path = run_folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    with pytest.raises(InputError, match="begun by another version of this package"):
        read_run(run_folder, OPTIONS)


def test_run_json_comes_last(tmp_path: Path, beginning: Beginning, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed before it leaves a folder that holds no run, where one can begin."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", die)
    with pytest.raises(KeyboardInterrupt):
        begin_run(tmp_path, OPTIONS, beginning, {})
    check_unused(tmp_path)


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


def test_auto_is_no_other_precision(run_folder: Path, digits: DataSet) -> None:
    """The same command with --resume goes on."""
    assert stored_options(run_folder, replace(OPTIONS, precision="auto"), digits) == OPTIONS


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
