"""Whole runs of a small net on small pictures: what they leave behind, and how they go on after an interruption."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.train.runs import Begin, assert_same_run

from alexnet.data.datasets import open_data
from alexnet.data.subset import subset
from alexnet.errors import InputError
from alexnet.lock import hold
from alexnet.predict import load
from alexnet.train import run
from alexnet.train.checkpoint import CHECKPOINT, load_checkpoint
from alexnet.train.folder import STATISTICS
from alexnet.train.log import read_metrics
from alexnet.train.options import RunOptions
from alexnet.train.ranks import Ranks
from alexnet.train.run import train
from alexnet.train.saver import BEST, LAST
from alexnet.weights import find_weights

pytestmark = pytest.mark.usefixtures("no_pictures")


TRAIN_RECORD = {"step", "epoch", "split", "loss", "top1_error", "images_per_second", "lr", "lr_bias"}


VAL_RECORD = {"step", "epoch", "split", "views", "loss", "top1_error", "top5_error"}


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


def test_the_same_run_twice_gives_the_same_weights_for_any_number_of_workers(begin: Begin, tmp_path: Path) -> None:
    begin("one")
    begin("two", workers=3)
    begin("other seed", seed=1)
    one, two, other = (load_file(tmp_path / name / LAST) for name in ("one", "two", "other seed"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["conv3.weight"], other["conv3.weight"])


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


def test_sigterm_saves_too(begin: Begin, watching, tmp_path: Path) -> None:
    """As a cluster's scheduler sends it. A handler of our own keeps this process alive."""
    own = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(KeyboardInterrupt):
            begin(observer=watching(stop_after=3, by=signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, own)
    assert load_checkpoint(tmp_path / "run")[0].step == 3


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
