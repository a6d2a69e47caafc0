"""Epochs of whole runs of a small net: what is measured and said after each, and when they end."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.train.runs import Begin, assert_same_run, interrupted, measured

from alexnet.data import loader, picture
from alexnet.data.datasets import open_data
from alexnet.data.statistics import Statistics
from alexnet.errors import DataError, MissingExtraError
from alexnet.train import epochs
from alexnet.train.epochs import CURVES
from alexnet.train.folder import STATISTICS
from alexnet.train.log import read_metrics, training_errors
from alexnet.train.saver import BEST, LAST
from alexnet.weights import read_weights

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_classes_with_hardly_an_image_are_named(begin: Begin, tmp_path: Path, photos: Path, watching) -> None:
    few = shutil.copytree(photos, tmp_path / "few")
    first = min(few.iterdir())
    for image in sorted(first.iterdir())[1:]:
        image.unlink()
    observer = watching()
    begin("run", observer, data=str(few))
    [line] = [line for line in observer.news if "fewer than" in line]
    assert line.startswith(f"1 class with fewer than 5 images to train on: {first.name} (1); ")


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


def test_where_nothing_is_held_out_nothing_is_measured(begin: Begin, photos: Path, tmp_path: Path) -> None:
    """One picture a class: all of them train."""
    for folder in photos.iterdir():
        (tmp_path / "few" / folder.name).mkdir(parents=True)
        shutil.copy(folder / "00.png", tmp_path / "few" / folder.name)
    result = begin(data=str(tmp_path / "few"))
    assert (result.steps, result.split, result.evaluation, result.best_error) == (2, None, None, None)
    assert read_weights(tmp_path / "run" / LAST).errors == ()
    assert {each["split"] for each in read_metrics(tmp_path / "run")} == {"train"}


def test_a_test_split_chooses_nothing(begin: Begin, tmp_path: Path) -> None:
    result = begin(data="digits", limit_train_batches=1)
    assert result.split == "test"
    assert result.evaluation is not None
    assert result.evaluation.images == 359
    assert result.best_error is None
    assert not (tmp_path / "run" / BEST).exists()
    assert read_weights(tmp_path / "run" / LAST).errors[0]["split"] == "test"


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
