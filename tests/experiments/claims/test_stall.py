from dataclasses import replace
from math import log, nan

import pytest

from alexnet.data.subset import subset
from alexnet.errors import InputError
from alexnet.experiments import first_steps
from alexnet.experiments.claims import stall as module
from alexnet.experiments.claims.stall import CLAIM, leaves
from alexnet.experiments.claims.wording import setting_line


def records(*losses):
    return [{"step": 20 * number, "loss": loss} for number, loss in enumerate(losses, 1)]


def test_chance_is_left_where_the_loss_stays_below():
    assert leaves(records(5.5, 5.2, 5.4, 5.2, 5.1), 5.3) == 80
    assert leaves(records(5.2, 5.1), 5.3) == 20
    assert leaves(records(5.5, 5.4), 5.3) is None
    assert leaves(records(5.5, 5.2, nan), 5.3) is None
    assert leaves(records(nan, 5.2), 5.3) == 40


def test_both_beginnings_are_run_once_and_drawn(open_on_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(first_steps, "NET", "digits")
    study = open_on_digits(CLAIM, limit_train_batches=3)
    found = CLAIM.run(study)
    assert set(found.details["below_chance_from_step"].values()) <= {3, None}
    assert found.details["chance_loss"] == log(10)
    found.draw(tmp_path / "stall.png")
    assert (tmp_path / "stall.png").exists()
    monkeypatch.setattr(first_steps, "first_steps", lambda *_, **__: pytest.fail("run again"))
    assert CLAIM.run(study).details == found.details


def test_the_steps_are_those_that_were_run_and_there_is_no_verdict(open_on_digits, monkeypatch):
    """A hundred images are two batches."""
    monkeypatch.setattr(first_steps, "NET", "digits")
    monkeypatch.setattr(module, "leaves", lambda *_: None)
    study = open_on_digits(CLAIM, limit_train_batches=400)
    few = replace(subset(study.dataset, range(10), train_per_class=10), name="few")
    found = CLAIM.run(replace(study, dataset=few))
    assert found.verdict is None
    assert found.ours.count("not below chance in 2 steps") == 2
    assert "digits, recipe digits, the first 2 steps on few; 1 seed" in setting_line(found.setting)
    assert found.setting["machine"]["device"] == "cpu"


def test_device_and_workers_are_those_asked_for(open_on_digits, monkeypatch):
    asked = []

    def plan_first_steps(*_, **options):
        asked.append((options["device"], options["workers"]))
        raise InputError("enough")

    monkeypatch.setattr(first_steps, "plan_first_steps", plan_first_steps)
    with pytest.raises(InputError, match="enough"):
        CLAIM.run(open_on_digits(CLAIM, workers=3))
    assert asked == [("cpu", 3)]


def test_steps_of_other_data_of_that_name_are_refused(open_on_digits, monkeypatch):
    monkeypatch.setattr(first_steps, "NET", "digits")
    study = open_on_digits(CLAIM, limit_train_batches=1)
    CLAIM.run(study)
    impostor = replace(subset(study.dataset, range(9)), name="digits")
    with pytest.raises(InputError, match="is of other data of that name"):
        CLAIM.run(replace(study, dataset=impostor))


def test_seeds_and_epochs_are_refused(open_on_digits):
    with pytest.raises(InputError, match="leave --epochs and --seeds out"):
        CLAIM.run(open_on_digits(CLAIM, seeds=2))
