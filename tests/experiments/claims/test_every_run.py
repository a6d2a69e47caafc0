import json

import numpy as np
import pytest

from alexnet.experiments.claims.every_run import CLAIM, judge, population_folder
from alexnet.experiments.claims.population import Specialization, read_members
from alexnet.weights import find_weights

YES = Specialization(colours=(0.1, 0.9), difference=0.8, threshold=0.2)
NO = Specialization(colours=(0.5, 0.6), difference=0.1, threshold=0.2)


@pytest.mark.parametrize(
    ("found", "low", "verdict"),
    [([YES] * 6, 0.54, "as published"), ([YES] * 2, 0.16, "cannot tell"), ([YES] * 50 + [NO], 0.9, "opposite")],
)
def test_one_exception_refutes_and_a_few_do_not_prove(found, low, verdict):
    assert judge(found, low) == verdict


def test_every_call_adds_seeds_to_the_net_and_to_its_control(open_on_digits, tmp_path):
    first = CLAIM.run(open_on_digits(CLAIM, seeds=1))
    assert first.details["runs"] == 1
    study = open_on_digits(CLAIM, seeds=1)
    found = CLAIM.run(study)
    assert found.details["runs"] == 2
    folder, control = (population_folder(study, net) for net in ("digits", "digits+ungrouped"))
    assert folder == tmp_path / "population" / "digits_digits_2-epochs_2-steps"
    assert [member.seed for member in read_members(folder)] == [0, 1]
    assert [member.seed for member in read_members(control)] == [0, 1]
    assert found.setting["seeds"] == 2
    assert [row["seed"] for row in found.details["net"]] == [0, 1]
    assert f"{found.details['specialized']} of 2 runs" in found.ours
    json.dumps(dict(found.details))
    found.draw(tmp_path / "x.png")
    assert (tmp_path / "x.png").exists()


def test_the_kernels_kept_are_those_of_the_run(open_on_digits):
    study = open_on_digits(CLAIM, seeds=1)
    found = CLAIM.run(study)
    [member] = read_members(population_folder(study, "digits"))
    weights = find_weights(str(study.asked.runs / "digits/digits_2-epochs_2-steps_seed-0"))
    assert member.kernels == pytest.approx(weights.tensors["conv1.weight"], rel=1e-3, abs=1e-6)
    assert member.kernels.dtype == np.float16
    assert member.errors["top1_error"] == found.details["net"][0]["top1_error"]


def test_a_seed_whose_file_is_missing_is_run_again_or_read_again(open_on_digits):
    study = open_on_digits(CLAIM, seeds=1)
    CLAIM.run(study)
    (population_folder(study, "digits") / "seed-0.npz").unlink()
    assert CLAIM.run(study).details["runs"] == 1
