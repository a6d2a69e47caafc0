import json
from dataclasses import replace

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.experiments.claims import every_run as module
from alexnet.experiments.claims.every_run import CLAIM, judge, population_folder
from alexnet.experiments.claims.population import keep, read_member
from alexnet.weights import find_weights


@pytest.mark.parametrize(
    ("specialized", "runs", "verdict"),
    [
        (6, 6, "as published"),
        (5, 5, "cannot tell"),
        (2, 2, "cannot tell"),
        (50, 51, "cannot tell"),  # one that the test does not find refutes nothing
        (0, 1, "cannot tell"),
        (0, 5, "cannot tell"),
        (0, 30, "cannot tell"),
        (12, 30, "cannot tell"),
    ],
)
def test_the_bounds_of_the_probability_decide(specialized, runs, verdict):
    assert judge(specialized, runs) == verdict


@pytest.fixture
def trainings(monkeypatch):
    """Counts what is trained: (net, seed)."""
    real, counted = module.trained, []

    def trained(run, study):
        counted.append((run.net, run.seed))
        return real(run, study)

    monkeypatch.setattr(module, "trained", trained)
    return counted


def test_the_population_grows_to_the_seeds_asked_for_and_no_further(open_on_digits, tmp_path, trainings):
    assert CLAIM.run(open_on_digits(CLAIM, seeds=1)).details["runs"] == 1
    study = open_on_digits(CLAIM, seeds=2)
    found = CLAIM.run(study)
    assert CLAIM.run(replace(study, asked=replace(study.asked, resume=True))).details == found.details
    nets = ("digits", "digits+ungrouped")
    assert trainings == [(net, seed) for seed in (0, 1) for net in nets]
    folder = population_folder(study, "digits")
    assert folder == tmp_path / "population/digits_digits_2-epochs_2-steps"
    assert [[row["seed"] for row in found.details[kind]] for kind in ("net", "control")] == [[0, 1], [0, 1]]
    assert found.setting["seeds"] == 2
    assert found.setting["machine"]["processor"]
    assert f"{found.details['specialized']} of 2 runs" in found.ours
    assert "a difference of colour above 0." in found.covers
    assert f"sorted by colour, would differ by {found.details['net'][0]['sorted_difference']:.1f}" in found.covers
    json.dumps([dict(found.details), dict(found.setting)])
    found.draw(tmp_path / "x.png")
    assert (tmp_path / "x.png").exists()


def test_after_ctrl_c_in_the_control_both_come_to_the_same_number(open_on_digits, monkeypatch, trainings):
    """Stopped in the control of seed 1, asked again, and once more: two of each, none twice."""
    study = open_on_digits(CLAIM, seeds=2)
    counted = module.trained

    def stopping(run, study):
        if (run.net, run.seed) == ("digits+ungrouped", 1):
            raise KeyboardInterrupt
        return counted(run, study)

    with monkeypatch.context() as patch:
        patch.setattr(module, "trained", stopping)
        with pytest.raises(KeyboardInterrupt):
            CLAIM.run(study)
    resumed = replace(study, asked=replace(study.asked, resume=True))
    for _ in range(2):
        found = CLAIM.run(resumed)
        assert (len(found.details["net"]), len(found.details["control"])) == (2, 2)
    assert sorted(trainings) == [(net, seed) for net in ("digits", "digits+ungrouped") for seed in (0, 1)]


def test_the_kernels_kept_are_those_of_the_run(open_on_digits):
    study = open_on_digits(CLAIM, seeds=1)
    found = CLAIM.run(study)
    member = read_member(population_folder(study, "digits"), 0)
    [run] = (study.asked.runs / "digits").glob("digits_2-epochs_2-steps_*_seed-0")
    assert member.kernels == pytest.approx(find_weights(str(run)).tensors["conv1.weight"], rel=1e-3, abs=1e-6)
    assert member.kernels.dtype == np.float16
    assert member.errors["top1_error"] == found.details["net"][0]["top1_error"]
    assert member.facts["machine"]["device"] == "cpu"


def test_runs_of_any_precision_count(open_on_digits):
    study = open_on_digits(CLAIM, seeds=1)
    CLAIM.run(study)
    folder = population_folder(study, "digits")
    member = read_member(folder, 0)
    elsewhere = member.facts["machine"] | {"processor": "H100"}
    keep(folder, replace(member, facts=member.facts | {"precision": "fp8", "machine": elsewhere}))
    found = CLAIM.run(study)
    here = member.facts
    assert found.setting["precision"] == f"fp8 and {here['precision']}"
    assert found.setting["machine"]["processor"] == f"H100 and {here['machine']['processor']}"


def test_kernels_of_other_data_of_that_name_are_refused(open_on_digits):
    study = open_on_digits(CLAIM, seeds=1)
    CLAIM.run(study)
    folder = population_folder(study, "digits")
    member = read_member(folder, 0)
    keep(folder, replace(member, facts=member.facts | {"data": "another"}))
    with pytest.raises(InputError, match="of other data than this digits"):
        CLAIM.run(study)
