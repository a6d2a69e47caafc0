import json
from math import inf

import pytest

from alexnet.errors import DivergedError, InputError, RunError
from alexnet.experiments.claims import race as module
from alexnet.experiments.claims.race import MOST_RATES, Race, epochs_to, error_curve, race
from alexnet.experiments.claims.training import Run
from alexnet.train.log import read_metrics

RACE = Race(slower="tanh", target=0.25, lr=0.01, published=6.0)


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
    """No training: the epochs that a run takes to 25 %, by net, rate and seed; a run without any diverges at once, one
    with fewer than none at its end.
    """
    epochs: dict[tuple[str, float, int], float] = {}
    asked: list[Run] = []

    def trained(run, study):
        asked.append(run)
        key = (run.net, run.lr, run.seed)
        folder = module.folder_of(run, study, study.dataset)
        folder.mkdir(parents=True, exist_ok=True)
        if key not in epochs:
            raise DivergedError("the loss is nan at step 1")
        errors = [max(0.05, 0.9 - 0.65 * (epoch + 0.5) / abs(epochs[key])) for epoch in range(30)]
        records = [
            {"step": epoch, "epoch": epoch + 1, "split": "train", "top1_error": error}
            for epoch, error in enumerate(errors)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        if epochs[key] < 0:
            raise DivergedError("the loss is nan at step 30")
        return folder

    monkeypatch.setattr(module, "trained", trained)
    monkeypatch.setattr(module, "facts_of", lambda folder: folder.name)
    monkeypatch.setattr(module, "describe_training", lambda _, facts, **more: more | {"facts": facts})
    return epochs, asked


def test_each_net_runs_at_its_best_rate_and_the_ratio_has_an_interval(fake_runs, stand_in, open_on_digits, tmp_path):
    epochs, asked = fake_runs
    epochs |= {("digits", 0.005, 0): 9.0, ("digits", 0.01, 0): 4.0, ("digits", 0.01, 1): 4.0}
    epochs |= {("digits+tanh", 0.005, 0): 20.0, ("digits+tanh", 0.005, 1): 24.0, ("digits+tanh", 0.01, 0): 25.0}
    found = race(RACE, open_on_digits(stand_in))
    [effect] = found.effects
    assert effect.value == pytest.approx((5 * 6) ** 0.5)
    assert effect.low < effect.value < effect.high
    fast, slow = found.details["nets"]
    assert (fast["lr"], fast["epochs"]) == (0.01, pytest.approx([4, 4]))
    assert (slow["lr"], slow["epochs"]) == (0.005, pytest.approx([20, 24]))
    assert slow["epochs_by_lr"] == {"0.01": pytest.approx(25), "0.02": None, "0.005": pytest.approx(20), "0.0025": None}
    assert not any((run.net, run.lr, run.seed) == ("digits", 0.005, 1) for run in asked)
    assert len(found.setting["facts"]) == 4
    assert (found.setting["split"], found.setting["views"]) == ("train", "as they are trained on")
    assert (fast["lr_at_end"], slow["lr_at_end"]) == (None, None)
    found.draw(tmp_path / "race.png")
    assert (tmp_path / "race.png").stat().st_size > 1000


def test_a_rate_is_given_no_longer_than_the_best_before_it_took(fake_runs, stand_in, open_on_digits):
    """Only the tries of seed 0: what the best rate takes with other seeds is not known before."""
    epochs, asked = fake_runs
    epochs |= {("digits", 0.01, 0): 0.4, ("digits", 0.02, 0): 1.0, ("digits", 0.01, 1): 0.4}
    race(RACE, open_on_digits(stand_in))
    of_fast = {(run.lr, run.seed): run.epochs for run in asked if run.net == "digits"}
    assert of_fast == {(0.01, 0): 2, (0.02, 0): 1, (0.005, 0): 1, (0.01, 1): 2}


def test_rates_go_on_until_the_best_is_between_worse_ones(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, seed): 4.0 for seed in (0, 1)}
    epochs |= {("digits+tanh", lr, 0): time for lr, time in ((0.01, 24.0), (0.02, 22.0), (0.04, 21.0), (0.08, 23.0))}
    epochs |= {("digits+tanh", 0.04, 1): 21.0}
    found = race(RACE, open_on_digits(stand_in))
    fast, slow = found.details["nets"]
    assert list(fast["epochs_by_lr"]) == ["0.01", "0.02", "0.005"]
    assert list(slow["epochs_by_lr"]) == ["0.01", "0.02", "0.04", "0.08"]
    assert (slow["lr"], slow["lr_at_end"]) == (0.04, None)


@pytest.mark.parametrize(("factor", "end"), [(2, "highest"), (0.5, "lowest")])
def test_a_slower_net_that_is_never_at_its_best_decides_nothing(fake_runs, stand_in, open_on_digits, factor, end):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, 0): 4.0, ("digits", 0.01, 1): 4.1}
    rates = [0.01 * factor**place for place in range(MOST_RATES)]
    epochs |= {("digits+tanh", lr, seed): 29.0 - place for place, lr in enumerate(rates) for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    _, slow = found.details["nets"]
    assert (len(slow["epochs_by_lr"]), slow["lr_at_end"]) == (MOST_RATES, end)
    assert f"the best rate of digits+tanh, {slow['lr']:g}, is the {end} tried" in found.ours
    assert found.effects[0].low > 1
    assert found.verdict == "cannot tell"


def test_a_faster_net_that_is_slower_and_never_at_its_best_decides_nothing(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits+tanh", 0.01, 0): 4.0, ("digits+tanh", 0.01, 1): 4.1}
    rates = [0.01 * 2**place for place in range(MOST_RATES)]
    epochs |= {("digits", lr, seed): 29.0 - place for place, lr in enumerate(rates) for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    assert found.effects[0].verdict == "opposite"
    assert found.verdict == "cannot tell"


def test_a_rate_that_diverges_is_not_the_best_wherever_it_came(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, seed): 4.0 for seed in (0, 1)} | {("digits", 0.02, 0): -2.0}
    fast, _ = race(RACE, open_on_digits(stand_in)).details["nets"]
    assert (fast["lr"], fast["epochs_by_lr"]["0.02"]) == (0.01, None)
    assert fast["lowest_error_by_lr"]["0.02"] == pytest.approx(0.05)


def test_where_every_rate_diverges_lower_ones_are_tried(fake_runs, stand_in, open_on_digits):
    epochs, asked = fake_runs
    epochs |= {("digits", 0.01, seed): 4.0 for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    assert found.effects == ()
    assert found.details["nets"][1]["lr_at_end"] == "lowest"
    assert min(run.lr for run in asked) < 1e-4


def test_a_run_that_fails_otherwise_is_no_rate_too_high(monkeypatch, stand_in, open_on_digits):
    def trained(*_):
        raise RunError("a batch does not fit the memory")

    monkeypatch.setattr(module, "trained", trained)
    with pytest.raises(RunError, match="memory"):
        race(RACE, open_on_digits(stand_in))


def test_where_the_slower_net_never_arrives_the_ratio_has_a_lower_bound(fake_runs, stand_in, open_on_digits):
    """The curves end at 29.5 epochs, so that it takes more than 7.4 and 5.9 times as long."""
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, 0): 4.0, ("digits", 0.01, 1): 5.0}
    epochs |= {("digits+tanh", 0.01, seed): 99.0 for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    [effect] = found.effects
    assert effect.what.endswith("at least")
    assert effect.value == pytest.approx((29.5 / 4 * 29.5 / 5) ** 0.5)
    assert 1 < effect.low < effect.value
    assert effect.high is None
    assert found.verdict == "as published"
    assert "not reached in 2 epochs by digits+tanh, and in 5.0 at most by digits; epochs to 25%" in found.ours
    json.dumps(dict(found.details), allow_nan=False)


def test_where_the_faster_net_does_not_arrive_there_is_no_number(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, 0): 4.0, ("digits", 0.01, 1): 99.0}
    epochs |= {("digits+tanh", 0.01, seed): 8.0 for seed in (0, 1)}
    found = race(RACE, open_on_digits(stand_in))
    assert (found.effects, found.verdict) == ((), "cannot tell")
    assert "not reached in 2 epochs by digits, and in 8.0 at most by digits+tanh" in found.ours


def test_one_seed_gives_a_ratio_without_an_interval(fake_runs, stand_in, open_on_digits):
    epochs, _ = fake_runs
    epochs |= {("digits", 0.01, 0): 4.0, ("digits+tanh", 0.01, 0): 12.0}
    found = race(RACE, open_on_digits(stand_in, seeds=1))
    assert found.effects[0].value == pytest.approx(3)
    assert found.verdict == "cannot tell"
    assert "nor of what would have been seen" in found.covers


def test_a_target_above_chance_is_refused(stand_in, open_on_digits):
    high = Race(slower="tanh", target=0.95, lr=0.01, published=6.0)
    with pytest.raises(InputError, match="chance alone errs less than 95%"):
        race(high, open_on_digits(stand_in))


def test_real_runs_are_timed(stand_in, open_on_digits):
    found = race(Race(slower="tanh", target=0.01, lr=0.005, published=6.0), open_on_digits(stand_in, seeds=1))
    assert "not reached in 2 epochs by digits and digits+tanh" in found.ours
    assert found.setting["changed"] == ["digits+tanh"]


def test_real_runs_end_at_the_target(stand_in, open_on_digits):
    study = open_on_digits(stand_in, seeds=1, limit_train_batches=None)
    race(Race(slower="tanh", target=0.89, lr=0.005, published=6.0), study)
    [folder] = (study.asked.runs / study.dataset.name).glob("digits_*lr-0.005_*")
    assert {record["epoch"] for record in read_metrics(folder)} == {1}
