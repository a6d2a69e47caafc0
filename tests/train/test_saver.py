"""What whole runs of a small net keep, and what they do not."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.train.runs import Begin, assert_same_run

from alexnet.data.statistics import Statistics
from alexnet.errors import RunError
from alexnet.recipes import RECIPES, Rates, Steps
from alexnet.recipes.named import DIGITS
from alexnet.train import epochs, saver
from alexnet.train.checkpoint import load_checkpoint
from alexnet.train.folder import STATISTICS
from alexnet.train.log import read_metrics
from alexnet.train.saver import BEST, LAST
from alexnet.weights import Weights, find_weights, read_weights, save_weights
from alexnet.weights.probe import changed_parts, has_checksums

pytestmark = pytest.mark.usefixtures("no_pictures")


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


def test_between_equal_errors_the_loss_chooses_the_best_weights(
    begin: Begin, scripted_errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_errors([0.5, 0.5, 0.5], [2.0, 1.0, 3.0])
    saved = []
    monkeypatch.setattr(saver, "save_weights", lambda path, weights: saved.append(path.name))
    begin(epochs=3, limit_train_batches=1)
    assert saved == [BEST, LAST, BEST, LAST, LAST]


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
