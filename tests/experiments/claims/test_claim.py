import shlex
from shutil import copytree

import pytest

from alexnet.experiments.claims import CLAIMS
from alexnet.weights import find_weights
from alexnet.weights.digest import weights_digest


def test_files_are_called_after_claim_data_and_what_was_asked_for(stand_in, open_on_digits):
    assert open_on_digits(stand_in, limit_train_batches=None).slug == "stand-in_digits_2-epochs_2-seeds"
    slug = open_on_digits(stand_in, epochs=3, limit_train_batches=4, seeds=1).slug
    assert slug == "stand-in_digits_3-epochs_4-steps_1-seeds"


def test_the_command_has_what_was_asked_for_and_no_more(stand_in, open_on_digits):
    assert open_on_digits(stand_in, limit_train_batches=None).command == "alexnet claims stand-in --data digits"
    command = open_on_digits(stand_in, epochs=3, limit_train_batches=4, seeds=1).command
    assert command == "alexnet claims stand-in --data digits --epochs 3 --seeds 1 --limit-train-batches 4"


def test_the_command_names_weights_as_a_shell_takes_them(open_on_digits, digits_runs, tmp_path):
    named = tmp_path / "my run"
    named.symlink_to(digits_runs[0])
    command = open_on_digits(CLAIMS["ten-views"], weights=(str(named),)).command
    assert shlex.split(command) == ["alexnet", "claims", "ten-views", "--data", "digits", "--weights", str(named)]


@pytest.fixture
def slug_of(open_on_digits):
    def slug_of(claim, *weights):
        return open_on_digits(CLAIMS[claim], weights=weights).slug

    return slug_of


def test_results_of_other_weights_have_other_names(slug_of, digits_runs):
    first, second = digits_runs
    digests = [weights_digest(find_weights(folder))[:8] for folder in digits_runs]
    slugs = [slug_of("ten-views", weights) for weights in (first, second, f"{first}/last.safetensors")]
    names = (f"seed-0-{digests[0]}", f"seed-1-{digests[1]}", f"seed-0-last-{digests[0]}")
    assert slugs == [f"ten-views_digits_{name}" for name in names]
    assert slug_of("ensemble", first, second) == f"ensemble_digits_{names[0]}_{names[1]}"


def test_results_of_other_weights_that_are_called_alike_have_other_names(slug_of, digits_runs, tmp_path):
    alike = [tmp_path / parent / "run" for parent in "ab"]
    for folder, run in zip(alike, digits_runs, strict=True):
        copytree(run, folder)
    first, second = (slug_of("ten-views", str(folder)) for folder in alike)
    assert first != second


def test_weights_by_name_are_called_so_wherever_one_stands(slug_of):
    assert slug_of("ten-views", "tiny-imagenet-200") == "ten-views_digits_tiny-imagenet-200"


def test_many_weights_make_a_name_that_fits_a_file_and_is_its_own(slug_of):
    many = [f"net-{number}-é" for number in range(60)]
    slug, other = slug_of("ensemble", *many), slug_of("ensemble", *many[:-1], "another")
    assert len(slug.encode()) <= 200
    assert slug.startswith("ensemble_digits_net-0-é_net-1-é_")
    assert slug != other
