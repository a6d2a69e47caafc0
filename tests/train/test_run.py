"""Whole runs of a small net on small pictures: what they leave behind, and how they go on after an interruption."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from alexnet.data import loader, picture
from alexnet.data.datasets import open_data
from alexnet.data.statistics import Statistics
from alexnet.data.subset import subset
from alexnet.errors import DataError, InputError, MissingExtraError, RunError
from alexnet.evaluate import Evaluation
from alexnet.lock import hold
from alexnet.predict import load
from alexnet.recipes import RECIPES, Rates, Steps
from alexnet.recipes.named import DIGITS
from alexnet.train import epochs, loop, run, saver
from alexnet.train.checkpoint import CHECKPOINT, load_checkpoint
from alexnet.train.epochs import CURVES
from alexnet.train.folder import STATISTICS
from alexnet.train.log import read_metrics, training_errors
from alexnet.train.options import RunOptions
from alexnet.train.ranks import Ranks
from alexnet.train.run import RunResult, train
from alexnet.train.saver import BEST, LAST
from alexnet.weights import Weights, find_weights, read_weights, save_weights
from alexnet.weights.probe import changed_parts, has_checksums

pytestmark = pytest.mark.usefixtures("no_pictures")

TRAIN_RECORD = {"step", "epoch", "split", "loss", "top1_error", "images_per_second", "lr", "lr_bias"}
VAL_RECORD = {"step", "epoch", "split", "views", "loss", "top1_error", "top5_error"}

Begin = Callable[..., RunResult]


@pytest.fixture
def begin(tmp_path: Path, photos: Path, watching) -> Begin:
    """Train the digits net for two epochs of five steps of 16 photos into `tmp_path / name`; `more` are run options."""

    def begin(
        name: str = "run", observer: Any = None, resume: bool = False, workers: int = 1, **more: Any
    ) -> RunResult:
        settings = {"data": str(photos), "net": "digits", "epochs": 2, "batch_size": 16, "precision": "fp32", **more}
        options = RunOptions(**{"limit_train_batches": 5, **settings})
        folder = tmp_path / name
        return train(options, observer or watching(), out=folder, resume=resume, device="cpu", workers=workers)

    return begin


@pytest.fixture
def checkpoint_every_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS_PER_RECORD", 2)
    monkeypatch.setattr(saver, "SECONDS_PER_CHECKPOINT", -1.0)


@pytest.fixture
def scripted_errors(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The validation errors, and if need be the losses, that a run will measure, epoch after epoch."""

    def script(errors: list[float], with_losses: list[float] | None = None) -> None:
        remaining, losses = iter(errors), iter(with_losses or [1.0] * len(errors))

        def evaluate(classifiers: Any, split: Any, classes: Any, *, progress: Any, **_: Any) -> Evaluation:
            progress(len(split))
            return Evaluation(
                top1_error=next(remaining),
                top5_error=None,
                loss=next(losses),
                images=len(split),
                views="center",
                images_per_second=1.0,
            )

        monkeypatch.setattr(epochs, "evaluate", evaluate)

    return script


def interrupted(*_: object, progress: Callable[[int], None], **__: object) -> None:
    """Someone presses Ctrl-C while errors are measured."""
    signal.raise_signal(signal.SIGINT)
    progress(0)


def measured(folder: Path) -> list[dict[str, Any]]:
    """The records without what no two runs share."""
    return [{key: each[key] for key in each if key != "images_per_second"} for each in read_metrics(folder)]


def test_a_run_whose_images_grow_goes_on_to_the_same_weights(begin: Begin, watching) -> None:
    """Stopped where images are small, and where they are large."""
    whole = begin("whole", recipe="tiny-imagenet", epochs=3)
    for place, step in enumerate((3, 12)):
        name = f"stopped {place}"
        with pytest.raises(KeyboardInterrupt):
            begin(name, watching(stop_after=step), recipe="tiny-imagenet", epochs=3)
        resumed = begin(name, resume=True, recipe="tiny-imagenet", epochs=3)
        ours, theirs = (find_weights(run.out / LAST).tensors for run in (resumed, whole))
        assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)


def test_classes_with_hardly_an_image_are_named(begin: Begin, tmp_path: Path, photos: Path, watching) -> None:
    few = shutil.copytree(photos, tmp_path / "few")
    first = min(few.iterdir())
    for image in sorted(first.iterdir())[1:]:
        image.unlink()
    observer = watching()
    begin("run", observer, data=str(few))
    [line] = [line for line in observer.news if "fewer than" in line]
    assert line.startswith(f"1 class with fewer than 5 images to train on: {first.name} (1); ")


def test_data_without_a_name_is_trained_on_and_needed_again_to_go_on(photos: Path, watching, tmp_path: Path) -> None:
    whole = open_data(photos)
    part = subset(whole, [0, 2])
    options = RunOptions(data="two classes", net="digits", epochs=2, batch_size=16, limit_train_batches=3)
    go = partial(train, options, out=tmp_path / "part", device="cpu", workers=1)
    observer = watching(stop_after=4)
    with pytest.raises(KeyboardInterrupt):
        go(observer, dataset=part)
    assert observer.news[-1] == "stopped; saved at step 4, to go on repeat what began the run, with --resume"
    with pytest.raises(InputError, match="other data"):
        go(watching(), dataset=whole, resume=True)
    assert go(watching(), dataset=part, resume=True).steps == 6
    assert len(find_weights(tmp_path / "part").classes) == 2


def test_a_run_leaves_weights_measurements_and_what_it_was(begin: Begin, photos: Path, tmp_path: Path) -> None:
    result = begin()
    folder = tmp_path / "run"
    assert (result.out, result.steps, result.split) == (folder, 10, "val")
    assert {path.name.partition(".tfevents.")[0] for path in folder.iterdir()} == {
        *("run.json", STATISTICS, "metrics.jsonl", CHECKPOINT, LAST, BEST, ".lock", "events.out")
    }
    kept = json.loads((folder / "run.json").read_text())
    assert list(kept) == [
        *("format", "options", "net", "preprocessing", "mean_image", "statistics", "recipe", "data", "machine")
    ]
    assert kept["options"]["batch_size"] == 16
    assert kept["recipe"]["name"] == "digits"
    records = read_metrics(folder)
    assert [(each["step"], each["epoch"], each["split"]) for each in records] == [
        *((5, 1, "train"), (5, 1, "val"), (10, 2, "train"), (10, 2, "val"))
    ]
    for record in records:
        assert record.keys() == (TRAIN_RECORD if record["split"] == "train" else VAL_RECORD)
    assert records[0]["lr_bias"] == 2 * records[0]["lr"]
    assert result.evaluation is not None
    assert records[3]["top1_error"] == result.evaluation.top1_error
    assert result.evaluation.images == kept["data"]["images"]["val"]
    assert result.best_error == min(records[1]["top1_error"], records[3]["top1_error"])


def test_the_weights_carry_their_mean_recipe_errors_and_probe(begin: Begin, tmp_path: Path) -> None:
    result = begin(recipe="krizhevsky-145")
    weights = read_weights(tmp_path / "run" / LAST)
    statistics = Statistics.load(tmp_path / "run" / STATISTICS)
    np.testing.assert_array_equal(weights.preprocessing.mean_image, statistics.mean_image)
    assert [info.name for info in weights.classes] == ["blue", "green", "red"]
    assert weights.recipe is not None
    assert weights.recipe["name"] == "krizhevsky-145"
    assert result.evaluation is not None
    [errors] = weights.errors
    assert errors == {
        "data": "photos",
        "split": "val",
        "views": "center",
        "images": 9,
        "top1_error": result.evaluation.top1_error,
        "top5_error": None,
    }
    assert weights.probe is not None
    assert len(weights.probe["logits"]) == 3
    assert has_checksums(weights)
    assert changed_parts(weights) == {}  # though the errors come after the probe


def test_a_bgr_run_stores_its_mean_image_as_bgr(begin: Begin, tmp_path: Path) -> None:
    begin(recipe="caffe", epochs=1)
    weights = read_weights(tmp_path / "run" / LAST)
    statistics = Statistics.load(tmp_path / "run" / STATISTICS)
    assert weights.preprocessing.channel_order == "BGR"
    np.testing.assert_array_equal(weights.preprocessing.mean_image, statistics.mean_image[::-1])
    assert (statistics.mean_image[0] != statistics.mean_image[2]).any()


def test_the_same_run_twice_gives_the_same_weights_for_any_number_of_workers(begin: Begin, tmp_path: Path) -> None:
    begin("one")
    begin("two", workers=3)
    begin("other seed", seed=1)
    one, two, other = (load_file(tmp_path / name / LAST) for name in ("one", "two", "other seed"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["conv3.weight"], other["conv3.weight"])


def assert_same_run(one: Path, other: Path) -> None:
    """Bit for bit the same weights, velocities and progress, and the same measurements on the way."""
    for name in (LAST, BEST):
        ours, theirs = (load_file(folder / name) for folder in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours), name
    (progress, *ours), (other_progress, *theirs) = (load_checkpoint(folder) for folder in (one, other))
    assert progress == other_progress
    for tensors, others in zip(ours, theirs, strict=True):
        assert all(np.array_equal(tensors[key], others[key]) for key in tensors)
    assert measured(one) == measured(other)


@pytest.mark.parametrize("stop_after", [1, 3, 6, 7, 12])
def test_ctrl_c_saves_the_step_in_hand_and_the_resumed_run_equals_the_uninterrupted_one(
    begin: Begin, watching, tmp_path: Path, stop_after: int
) -> None:
    """Six steps an epoch, the last one of fewer images; stopped in the middle of epochs and at their ends."""
    whole = begin("whole", limit_train_batches=None)
    observer = watching(stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        begin("stopped", observer, limit_train_batches=None)
    assert observer.steps == stop_after
    assert observer.news[-1].startswith(f"stopped; saved at step {stop_after}, the run goes on with: alexnet train ")
    assert observer.news[-1].endswith(f"--out {tmp_path / 'stopped'} --resume")
    observer = watching()
    resumed = begin("stopped", observer, resume=True, limit_train_batches=None)
    assert observer.news[0] == f"resumed {tmp_path / 'stopped'} at step {stop_after} of 12"
    assert observer.steps == 12 - stop_after
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert replace(resumed, out=whole.out, evaluation=None) == replace(whole, evaluation=None)


def test_a_run_stopped_while_its_errors_are_measured_measures_them_when_resumed(
    begin: Begin, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("whole")

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            begin("stopped")
    observer = watching()
    begin("stopped", observer, resume=True)
    assert observer.steps == 5  # those of the second epoch
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_sigterm_saves_too(begin: Begin, watching, tmp_path: Path) -> None:
    """As a cluster's scheduler sends it. A handler of our own keeps this process alive."""
    own = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(KeyboardInterrupt):
            begin(observer=watching(stop_after=3, by=signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, own)
    assert load_checkpoint(tmp_path / "run")[0].step == 3


def test_a_full_disk_ends_the_run_and_what_was_saved_before_stays(
    begin: Begin, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("whole")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    observer = watching()
    with monkeypatch.context() as patch:
        patch.setattr(saver, "save_weights", full)
        with pytest.raises(OSError, match="No space left"):
            begin("stopped", observer)
    assert "saved at step 0, the run goes on with" in observer.news[-1]
    begin("stopped", resume=True)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_two_runs_cannot_write_into_one_folder(begin: Begin, tmp_path: Path) -> None:
    begin(epochs=1)
    with hold(tmp_path / "run"), pytest.raises(InputError, match="another process is"):
        begin(resume=True, epochs=1)


def test_what_a_killed_process_left_half_written_is_removed(begin: Begin, tmp_path: Path) -> None:
    begin(epochs=1)
    leftover = tmp_path / "run" / f".{CHECKPOINT}.0123abcd.tmp"
    leftover.write_bytes(b"half a checkpoint")
    begin(resume=True, epochs=1)
    assert not leftover.exists()


def test_a_resumed_fine_tuning_needs_its_parent_no_more(begin: Begin, watching, tmp_path: Path) -> None:
    """Neither its file nor its mean image: the run folder has all."""
    begin("parent", data="digits", limit_train_batches=1, recipe="krizhevsky-145")
    settings = {"net": None, "weights": str(tmp_path / "parent"), "recipe": "krizhevsky-145", "lr": 1e-4}
    begin("whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        begin("stopped", watching(stop_after=1), **settings)
    shutil.rmtree(tmp_path / "parent")
    begin("stopped", resume=True, net=None)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(begin: Begin, watching, tmp_path: Path) -> None:
    begin()
    before = (tmp_path / "run" / LAST).read_bytes(), read_metrics(tmp_path / "run")
    observer = watching()
    result = begin(observer=observer, resume=True)
    assert (result.steps, observer.steps) == (10, 0)
    last = read_metrics(tmp_path / "run")[-1]
    assert result.evaluation is not None
    assert (last["split"], last["top1_error"]) == (result.split, result.evaluation.top1_error)
    assert ((tmp_path / "run" / LAST).read_bytes(), read_metrics(tmp_path / "run")) == before


def test_a_run_goes_on_where_its_data_have_moved(begin: Begin, watching, photos: Path, tmp_path: Path) -> None:
    begin("whole")
    with pytest.raises(KeyboardInterrupt):
        begin("stopped", watching(stop_after=9))
    moved = shutil.copytree(photos, tmp_path / "moved")
    begin("stopped", resume=True, data=str(moved))
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def damage(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:60])


def test_damaged_images_are_named_once_and_left_out(begin: Begin, watching, photos: Path, tmp_path: Path) -> None:
    """In the statistics, in every epoch and among the held-out images; the others train as ever."""
    mine = shutil.copytree(photos, tmp_path / "mine")
    dataset = open_data(mine)
    bad = [dataset.split("train").paths[3], dataset.split("train").paths[40], dataset.split("val").paths[1]]
    damage(*(mine / path for path in bad))
    observer = watching(counts=False)
    result = begin(observer=observer, data=str(mine), limit_train_batches=None, recipe="krizhevsky-145")
    assert result.damaged == 3
    for path in bad:
        assert sum(line.startswith(f"left out: {mine / path}: damaged") for line in observer.news) == 1
    assert result.evaluation is not None
    assert result.evaluation.images == len(dataset.split("val")) - 1
    statistics = Statistics.load(tmp_path / "run" / STATISTICS)
    assert statistics.num_images == len(dataset.split("train")) - 2


def test_too_many_damaged_images_end_the_run_where_it_can_go_on(
    begin: Begin, watching, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a disk is taken away in the middle of a run: it goes on when that is back."""
    begin("whole", limit_train_batches=None)
    mine = shutil.copytree(photos, tmp_path / "mine")
    away = tmp_path / "away"
    keep_nothing = partial(picture.KeptPictures, keep_bytes=0)  # as photographs, which are too large
    monkeypatch.setattr(loader, "KeptPictures", lambda split, _, least: keep_nothing(split, least=least))
    observer = watching(counts=False)
    say = observer.say

    def take_away(line: str) -> None:
        say(line)
        if line.startswith("epoch 1"):
            mine.rename(away)

    observer.say = take_away
    with pytest.raises(DataError, match=r"more than \d+ of \d+ images cannot be read, .* are the data still there"):
        begin("stopped", observer, data=str(mine), limit_train_batches=None)
    assert "the run goes on with" in observer.news[-1]
    away.rename(mine)
    begin("stopped", resume=True, data=str(mine), limit_train_batches=None)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize(
    ("errors", "best", "written"),
    [
        ([0.5, 0.3, 0.4], 0.3, [1, 2]),
        ([0.5, 0.5, 0.5], 0.5, [1]),  # as good is not better
        ([0.5, 0.4, 0.1], 0.1, [1, 2, 3]),
    ],
)
def test_the_lowest_validation_error_chooses_the_best_weights(
    begin: Begin,
    scripted_errors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[float],
    best: float,
    written: list[int],
) -> None:
    scripted_errors(errors)
    saved = []

    def save(path: Path, weights: Weights) -> None:
        saved.append((path.name, weights.errors[0]["top1_error"]))
        save_weights(path, weights)

    monkeypatch.setattr(saver, "save_weights", save)
    result = begin(epochs=3, limit_train_batches=1)
    assert [error for name, error in saved if name == BEST] == [errors[epoch - 1] for epoch in written]
    assert [error for name, error in saved if name == LAST] == errors
    assert result.best_error == best
    assert find_weights(tmp_path / "run").errors[0]["top1_error"] == best


def test_a_test_split_chooses_nothing(begin: Begin, tmp_path: Path) -> None:
    result = begin(data="digits", limit_train_batches=1)
    assert result.split == "test"
    assert result.evaluation is not None
    assert result.evaluation.images == 359
    assert result.best_error is None
    assert not (tmp_path / "run" / BEST).exists()
    assert read_weights(tmp_path / "run" / LAST).errors[0]["split"] == "test"


def test_where_nothing_is_held_out_nothing_is_measured(begin: Begin, photos: Path, tmp_path: Path) -> None:
    """One picture a class: all of them train."""
    for folder in photos.iterdir():
        (tmp_path / "few" / folder.name).mkdir(parents=True)
        shutil.copy(folder / "00.png", tmp_path / "few" / folder.name)
    result = begin(data=str(tmp_path / "few"))
    assert (result.steps, result.split, result.evaluation, result.best_error) == (2, None, None, None)
    assert read_weights(tmp_path / "run" / LAST).errors == ()
    assert {each["split"] for each in read_metrics(tmp_path / "run")} == {"train"}


@pytest.mark.parametrize(
    ("errors", "rates"),
    [
        # Two epochs without a lower error are a plateau; the fourth plateau ends the run.
        ([9, 8, 7, *[7] * 8], [1, 1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        ([9, *[9] * 8], [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
        # A lower error starts the count anew, also in the middle of it.
        ([9, 9, 8, 8, 8, 7, *[7] * 6], [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]),
    ],
)
def test_the_paper_s_rate_is_divided_three_times_and_the_fourth_plateau_ends_the_run(
    begin: Begin, scripted_errors, tmp_path: Path, errors: list[float], rates: list[float]
) -> None:
    scripted_errors([error / 10 for error in errors])
    result = begin(recipe="paper", epochs=90, limit_train_batches=1)
    assert result.steps == len(rates) == len(errors)
    found = [each["lr"] for each in read_metrics(tmp_path / "run") if each["split"] == "train"]
    assert found == pytest.approx([0.01 * rate for rate in rates], rel=1e-9)


def test_plateaus_are_counted_on_in_a_resumed_run(begin: Begin, scripted_errors, watching, tmp_path: Path) -> None:
    scripted_errors([0.9] * 9)
    with pytest.raises(KeyboardInterrupt):
        begin(observer=watching(stop_after=5), recipe="paper", epochs=90, limit_train_batches=1)
    scripted_errors([0.9] * 5)
    result = begin(resume=True, recipe="paper", epochs=90, limit_train_batches=1)
    assert result.steps == 9
    found = [each["lr"] for each in read_metrics(tmp_path / "run") if each["split"] == "train"]
    assert found == pytest.approx([0.01] * 3 + [0.001] * 2 + [0.0001] * 2 + [0.00001] * 2, rel=1e-9)


@pytest.mark.parametrize("lr", [1e9, 1e30])
def test_a_run_that_diverges_ends_and_its_last_checkpoint_is_good(
    begin: Begin, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lr: float
) -> None:
    """The rate rises to `lr` with the second epoch; from the first one's checkpoint a sound recipe goes on."""
    steep = replace(DIGITS, rates=Rates(Steps(0.01, ((0.5, lr),)), Steps(0.01)))
    monkeypatch.setitem(RECIPES, "digits", steep)
    observer = watching()
    with pytest.raises(RunError, match=r"(at|after) step \d+; what was saved before is kept, .* lower --lr"):
        begin(observer=observer)
    assert not any("goes on" in line for line in observer.news)  # it would come to the same end
    progress, weights, velocities = load_checkpoint(tmp_path / "run")
    assert progress.step == 5
    assert all(bool(tensor.isfinite().all()) for tensor in (*weights.values(), *velocities.values()))
    assert all(np.isfinite(each["loss"]) for each in read_metrics(tmp_path / "run"))
    kept = json.loads((tmp_path / "run/run.json").read_text())
    kept["recipe"]["rates"] = DIGITS.to_json()["rates"]
    (tmp_path / "run/run.json").write_text(json.dumps(kept))
    assert begin(resume=True).steps == 10


@pytest.mark.usefixtures("checkpoint_every_two_steps")
def test_an_update_that_spoils_the_weights_is_not_saved(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of ten steps has a finite loss and an infinite rate: the checkpoint due after it would be useless."""
    monkeypatch.setitem(RECIPES, "digits", replace(DIGITS, rates=Rates(Steps(0.01, ((0.1, 1e300),)), Steps(0.01))))
    with pytest.raises(RunError, match="the weights are no numbers any more after step 2; "):
        begin()
    assert load_checkpoint(tmp_path / "run")[0].step == 0


def test_answers_that_are_no_numbers_are_not_saved(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights may be finite and still overflow: found where nothing is held out to measure."""
    monkeypatch.setattr(epochs.Plan, "measured_split", None)
    with pytest.raises(RunError, match="after step 1; "):
        begin(lr=1e30, limit_train_batches=1, epochs=1)
    assert not (tmp_path / "run" / LAST).exists()


def test_a_run_starts_from_another_runs_weights(begin: Begin, photos: Path, tmp_path: Path) -> None:
    """Ten digits become three colours: every row but the last begins as it ended, and so does the preprocessing."""
    begin("parent", data="digits", limit_train_batches=1, recipe="krizhevsky-145")
    parent = find_weights(tmp_path / "parent")
    begin("child", net=None, weights=str(tmp_path / "parent"), lr=1e-30, recipe="digits")
    child = find_weights(tmp_path / "child")
    assert child.preprocessing == parent.preprocessing
    np.testing.assert_array_equal(child.preprocessing.mean_image, parent.preprocessing.mean_image)
    assert [info.name for info in child.classes] == ["blue", "green", "red"]
    for name in child.tensors:
        if name.startswith("fc5."):
            assert child.tensors[name].shape[0] == 3
        else:
            np.testing.assert_array_equal(child.tensors[name], parent.tensors[name])


def renamed(photos: Path, folder: Path, **names: str) -> Path:
    """The photos with other names of classes."""
    for path in photos.iterdir():
        shutil.copytree(path, folder / names.get(path.name, path.name))
    return folder


def test_the_last_row_follows_the_classes_of_the_data(begin: Begin, watching, photos: Path, tmp_path: Path) -> None:
    """Capital letters sort first: the same classes in another order keep their rows."""
    begin("parent", epochs=1)
    parent = find_weights(tmp_path / "parent")
    data = renamed(photos, tmp_path / "data", red="Red")
    observer = watching()
    begin("child", observer, data=str(data), net=None, weights=str(tmp_path / "parent"), lr=1e-30, epochs=1)
    child = find_weights(tmp_path / "child")
    assert [info.name for info in child.classes] == ["Red", "blue", "green"]
    assert any("fc5 begins as the parent's" in line for line in observer.news)
    for part in ("weight", "bias"):
        np.testing.assert_array_equal(child.tensors[f"fc5.{part}"], parent.tensors[f"fc5.{part}"][[2, 0, 1]])


IN_PARTS = "".join(
    f"[{name}]\ntype={keys}\n"
    for name, keys in {
        "data": "data\ndataIdx=0",
        "labels": "data\ndataIdx=1",
        "conv": "conv\ninputs=data\nchannels=3\nfilters=4\nfilterSize=5\nstride=3\ninitW=0.05\nneuron=relu",
        "few": "fc\ninputs=conv\noutputs=1\ninitW=0.01",
        "rest": "fc\ninputs=conv\noutputs=2\ninitW=0.01",
        "all": "concat\ninputs=few,rest",
        "probs": "softmax\ninputs=all",
        "cost": "cost.logreg\ninputs=labels,probs",
    }.items()
)


def test_a_net_with_its_classes_in_several_rows_is_trained_and_trained_on(
    begin: Begin, watching, photos: Path, tmp_path: Path
) -> None:
    """Its rows are kept for the same classes in the same order, and begin anew for others."""
    (tmp_path / "net.cfg").write_text(IN_PARTS)
    begin("parent", net=str(tmp_path / "net.cfg"), recipe="digits", input_size=20, epochs=1)
    parent = find_weights(tmp_path / "parent")
    assert parent.spec.input == (3, 20, 20)
    observer = watching()
    for name, data in (("child", photos), ("other", renamed(photos, tmp_path / "data", red="Red"))):
        settings = {"net": None, "weights": str(tmp_path / "parent"), "lr": 1e-30, "epochs": 1}
        begin(name, observer, data=str(data), **settings)
    assert sum("few and rest begin as the parent's" in line for line in observer.news) == 1
    assert sum("few and rest begin anew" in line for line in observer.news) == 1
    same, other = (find_weights(tmp_path / name).tensors for name in ("child", "other"))
    np.testing.assert_array_equal(same["rest.weight"], parent.tensors["rest.weight"])
    assert not np.array_equal(other["rest.weight"], parent.tensors["rest.weight"])
    np.testing.assert_array_equal(other["conv.weight"], parent.tensors["conv.weight"])


def test_as_many_classes_of_another_kind_get_a_new_last_row(
    begin: Begin, watching, photos: Path, tmp_path: Path
) -> None:
    begin("parent", epochs=1)
    parent = find_weights(tmp_path / "parent")
    data = renamed(photos, tmp_path / "data", red="violet")
    observer = watching()
    begin("child", observer, data=str(data), net=None, weights=str(tmp_path / "parent"), lr=1e-30, epochs=1)
    assert any("fc5 begins anew" in line for line in observer.news)
    child = find_weights(tmp_path / "child")
    assert not np.array_equal(child.tensors["fc5.weight"], parent.tensors["fc5.weight"])
    np.testing.assert_array_equal(child.tensors["conv2.weight"], parent.tensors["conv2.weight"])


def test_weights_of_an_earlier_run_in_the_folder_are_not_taken_for_its_own(begin: Begin, tmp_path: Path) -> None:
    begin(epochs=1)
    (tmp_path / "run/run.json").unlink()
    begin(data="digits", limit_train_batches=1, epochs=1)  # has no validation split, so no best weights
    assert not (tmp_path / "run" / BEST).exists()
    assert find_weights(tmp_path / "run").spec.num_classes == 10


def test_runs_begun_in_one_second_have_folders_of_their_own(
    photos: Path, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = RunOptions(data=str(photos), net="digits", epochs=1, limit_train_batches=1, batch_size=4)
    outs = {train(options, watching(), device="cpu", workers=1).out for _ in range(3)}
    assert len(outs) == 3


def test_colours_are_told_apart_after_a_few_epochs(begin: Begin, photos: Path, tmp_path: Path) -> None:
    result = begin(epochs=8, limit_train_batches=None, lr=0.02)
    assert result.evaluation is not None
    assert result.evaluation.top1_error == 0
    classifier = load(tmp_path / "run")
    for name in ("blue", "green", "red"):
        assert classifier.predict(photos / name / "00.png")[0].label == name


def test_a_run_ends_with_the_first_epoch_at_the_error_asked_for(begin: Begin, watching, tmp_path: Path) -> None:
    begin("whole", epochs=4, lr=0.02)
    errors = training_errors(read_metrics(tmp_path / "whole"))
    assert errors[3] < errors[2] < errors[1]
    assert begin("short", epochs=4, lr=0.02, until_error=errors[2]).steps == 10
    assert measured(tmp_path / "short") == measured(tmp_path / "whole")[: len(measured(tmp_path / "short"))]
    assert begin("short", resume=True, epochs=4, lr=0.02, until_error=errors[2]).steps == 10
    assert begin("none", epochs=2, until_error=0.0).steps == 10


@pytest.mark.usefixtures("checkpoint_every_two_steps")
@pytest.mark.parametrize("stop_after", [3, 5, 7, 9])
def test_a_run_with_an_error_to_reach_goes_on_from_anywhere(
    begin: Begin, watching, tmp_path: Path, stop_after: int
) -> None:
    begin("plain", epochs=2, lr=0.02)
    asked = {"epochs": 4, "lr": 0.02, "until_error": training_errors(read_metrics(tmp_path / "plain"))[2] + 0.05}
    whole = begin("whole", **asked)
    with pytest.raises(KeyboardInterrupt):
        begin("stopped", watching(stop_after=stop_after), **asked)
    assert begin("stopped", resume=True, **asked).steps == whole.steps
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_a_run_that_is_stopped_at_its_target_is_measured_before_it_ends(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("whole", until_error=1.0)

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            begin("stopped", until_error=1.0)
    begin("stopped", resume=True, until_error=1.0)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_a_folder_in_use_is_refused_before_any_work(begin: Begin, watching) -> None:
    begin(limit_train_batches=1, epochs=1)
    observer = watching()
    with pytest.raises(InputError, match="already holds a run"):
        begin(observer=observer)
    assert (observer.work, observer.news) == ([], [])


def test_resuming_needs_the_folder(photos: Path, watching) -> None:
    with pytest.raises(InputError, match="--resume continues the run in --out"):
        train(RunOptions(data=str(photos)), watching(), resume=True)


def test_the_default_folder_is_named_after_data_and_time(
    photos: Path, watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = RunOptions(data=str(photos), net="digits", epochs=1, limit_train_batches=1, batch_size=4)
    result = train(options, watching(), device="cpu", workers=1)
    [folder] = (tmp_path / "runs").iterdir()
    assert result.out.resolve() == folder
    name, day, time = folder.name.split("-")
    assert (name, len(day), len(time)) == ("photos", 8, 6)


def test_curves_are_drawn_where_matplotlib_is(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(epochs, "draw_curves", lambda records, chance, path: asked.append((records, chance, path)))
    begin(limit_train_batches=1)
    [(records, chance, path)] = asked
    assert records == read_metrics(tmp_path / "run")
    assert chance == pytest.approx(np.log(3))
    assert path == tmp_path / "run" / CURVES


def test_a_run_goes_without_curves_where_matplotlib_is_missing(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MissingExtraError("matplotlib", "plot")

    monkeypatch.setattr(epochs, "draw_curves", refuse)
    assert begin(limit_train_batches=1).steps == 2


def test_between_equal_errors_the_loss_chooses_the_best_weights(
    begin: Begin, scripted_errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_errors([0.5, 0.5, 0.5], [2.0, 1.0, 3.0])
    saved = []
    monkeypatch.setattr(saver, "save_weights", lambda path, weights: saved.append(path.name))
    begin(epochs=3, limit_train_batches=1)
    assert saved == [BEST, LAST, BEST, LAST, LAST]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed processes are forks of one that has loaded torch")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_ends_with_the_same_weights(kills: int) -> None:
    """Real processes and SIGKILL, about half of them while a checkpoint is being written."""
    script = Path(__file__).parents[2] / "bench/kill_runs.py"
    command = [sys.executable, str(script), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^ *[1-9]\d*  writing a checkpoint$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(("here", "threads", "said"), [(2, 1, True), (2, 4, False), (1, 1, False)])
def test_processes_on_few_of_their_cores_are_told_how_to_have_more(
    watching, monkeypatch, here: int, threads: int, said: bool
) -> None:
    """torchrun leaves them at one where it starts several; what one alone has is its own choice."""
    monkeypatch.setattr(run.torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(run, "usable_cores", lambda: 4)
    observer, trainer = watching(), SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)
    run._say_how_fast(observer, trainer, Ranks(0, 2, here=here), keeps_memory=False)
    line = "each process computes on 1 of its 4 cores; OMP_NUM_THREADS=4 gives it all"
    assert (line in observer.news) == said
