import json
from math import inf

import pytest

from alexnet.errors import InputError, RunError
from alexnet.experiments.claims import race as module
from alexnet.experiments.claims.race import Race, epochs_to, error_curve, race

RACE = Race(slower="tanh", target=0.25, lrs=(0.001, 0.01), published=6.0)


def test_a_curve_is_crossed_where_the_line_between_two_epochs_is():
    curve = ([0.0, 0.5, 1.5, 2.5], [0.9, 0.5, 0.3, 0.2])
    assert epochs_to(curve, 0.25) == pytest.approx(2.0)
    assert epochs_to(curve, 0.3) == pytest.approx(1.5)
    assert epochs_to(curve, 0.1) == inf


def test_the_first_crossing_counts():
    assert epochs_to(([0, 1, 2, 3], [0.9, 0.1, 0.5, 0.1]), 0.5) == pytest.approx(0.5)


def test_the_curve_is_the_mean_of_each_epoch_of_training():
    records = [
        {"split": "train", "epoch": 1, "top1_error": 0.8},
        {"split": "train", "epoch": 1, "top1_error": 0.6},
        {"split": "test", "epoch": 1, "top1_error": 0.1},
        {"split": "train", "epoch": 2, "top1_error": 0.4},
    ]
    assert error_curve(records, 10) == ([0.0, 0.5, 1.5], pytest.approx([0.9, 0.7, 0.4]))


@pytest.fixture
def fake_runs(monkeypatch):
    """No training: the epochs that a run takes to 25 %, by net, rate and seed; a run without any diverges."""
    epochs: dict[tuple[str, float, int], float] = {}
    asked: list[tuple[str, float, int]] = []

    def trained(run, study):
        asked.append(key := (run.net, run.lr, run.seed))
        folder = module.folder_of(run, study, study.dataset)
        folder.mkdir(parents=True, exist_ok=True)
        if key not in epochs:
            raise RunError("the loss is nan at step 1")
        errors = [max(0.05, 0.9 - 0.65 * (epoch + 0.5) / epochs[key]) for epoch in range(30)]
        records = [
            {"step": epoch, "epoch": epoch + 1, "split": "train", "top1_error": error}
            for epoch, error in enumerate(errors)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        return folder

    monkeypatch.setattr(module, "trained", trained)
    monkeypatch.setattr(module, "describe_training", lambda *_, **more: more)
    return epochs, asked


def test_each_net_runs_at_its_best_rate_and_the_ratio_has_an_interval(fake_runs, stand_in, open_on_digits, tmp_path):
    epochs, asked = fake_runs
    epochs |= {("digits", 0.001, 0): 9.0, ("digits", 0.01, 0): 4.0, ("digits", 0.01, 1): 4.0}
    epochs |= {("digits+tanh", 0.001, 0): 20.0, ("digits+tanh", 0.001, 1): 24.0}
    found = race(RACE, open_on_digits(stand_in))
    [effect] = found.effects
    assert effect.value == pytest.approx((5 * 6) ** 0.5)
    assert effect.low < effect.value < effect.high
    fast, slow = found.details["nets"]
    assert (fast["lr"], fast["epochs"]) == (0.01, pytest.approx([4, 4]))
    assert (slow["lr"], slow["epochs"]) == (0.001, pytest.approx([20, 24]))
    assert slow["epochs_by_lr"]["0.01"] is None  # diverged
    assert ("digits", 0.001, 1) not in asked
    found.draw(tmp_path / "race.png")
    assert (tmp_path / "race.png").stat().st_size > 1000


def test_a_rate_at_which_a_net_diverged_is_not_tried_again(fake_runs, stand_in, open_on_digits):
    epochs, asked = fake_runs
    epochs |= {(net, 0.01, seed): 5.0 for net in ("digits", "digits+tanh") for seed in (0, 1)}
    race(RACE, open_on_digits(stand_in))
    assert asked.count(("digits", 0.001, 0)) == 1
    race(RACE, open_on_digits(stand_in))
    assert asked.count(("digits", 0.001, 0)) == 1


def test_a_target_that_is_not_reached_is_said_without_a_number(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, seed): 4.0 for seed in (0, 1)} | {("digits+tanh", 0.01, seed): 99.0 for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    assert found.verdict == "cannot tell"
    assert found.effects == ()
    assert "not reached in 2 epochs by digits+tanh, and in 4.0 at most by digits" in found.ours
    json.dumps(dict(found.details), allow_nan=False)


def test_one_seed_gives_a_ratio_without_an_interval(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, 0): 4.0, ("digits+tanh", 0.01, 0): 12.0}
    found = race(RACE, open_on_digits(stand_in, seeds=1))
    assert found.effects[0].value == pytest.approx(3)
    assert found.verdict == "cannot tell"


def test_a_target_above_chance_is_refused(stand_in, open_on_digits):
    high = Race(slower="tanh", target=0.95, lrs=(0.01,), published=6.0)
    with pytest.raises(InputError, match="chance alone errs less than 95%"):
        race(high, open_on_digits(stand_in))


def test_real_runs_are_timed(stand_in, open_on_digits):
    found = race(Race(slower="tanh", target=0.01, lrs=(0.005,), published=6.0), open_on_digits(stand_in, seeds=1))
    assert "not reached in 2 epochs by digits and digits+tanh" in found.ours
    assert found.setting["changed"] == ["digits+tanh"]
