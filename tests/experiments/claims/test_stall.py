from math import log

import pytest

from alexnet.errors import InputError
from alexnet.experiments import first_steps
from alexnet.experiments.claims.stall import CLAIM, leaves


def records(*losses):
    return [{"step": 20 * number, "loss": loss} for number, loss in enumerate(losses, 1)]


def test_chance_is_left_where_the_loss_stays_below():
    assert leaves(records(5.5, 5.2, 5.4, 5.2, 5.1), 5.3) == 80
    assert leaves(records(5.2, 5.1), 5.3) == 20
    assert leaves(records(5.5, 5.4), 5.3) is None


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


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        (((2.4, 2.2), (2.4, 2.4)), "as published"),
        (((2.4, 2.4), (2.4, 2.2)), "opposite"),
        (((2.4, 2.2), (2.4, 2.2)), "cannot tell"),
        (((2.4, 2.4), (2.4, 2.4)), "cannot tell"),
    ],
)
def test_the_sooner_one_decides(open_on_digits, monkeypatch, losses, verdict):
    monkeypatch.setattr(
        first_steps, "first_steps", lambda *_, std, **__: iter(records(*losses[0 if std is None else 1]))
    )
    assert CLAIM.run(open_on_digits(CLAIM)).verdict == verdict


def test_seeds_and_epochs_are_refused(open_on_digits):
    with pytest.raises(InputError, match="leave --epochs and --seeds out"):
        CLAIM.run(open_on_digits(CLAIM, seeds=2))
