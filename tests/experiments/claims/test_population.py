import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.experiments.claims.population import (
    Member,
    fresh_threshold,
    keep,
    read_member,
    specialization,
)

RNG = np.random.default_rng(0)


def kernels(*chroma: float) -> np.ndarray:
    """Kernels 11x11 whose energy off grey is so much of theirs."""
    made = []
    for share in chroma:
        pattern = RNG.normal(size=(11, 11))
        off_grey = np.stack([pattern, -pattern, 0 * pattern]) / np.sqrt(2)
        grey = np.stack([pattern] * 3) / np.sqrt(3)
        made.append(np.sqrt(share) * off_grey + np.sqrt(1 - share) * grey)
    return np.array(made)


def test_towers_that_sorted_their_kernels_are_specialized():
    found = specialization(kernels(*[0.05] * 48, *[0.9] * 48))
    assert found.colours == pytest.approx((0.05, 0.9), abs=1e-6)
    assert found.difference == found.sorted_difference == pytest.approx(0.85, abs=1e-6)
    assert found.found


def test_the_numbering_of_the_towers_does_not_matter():
    one = kernels(*[0.05] * 48, *[0.9] * 48)
    assert specialization(np.roll(one, 48, axis=0)).difference == pytest.approx(specialization(one).difference)


def test_two_kinds_of_kernels_that_are_mixed_are_not_specialized():
    found = specialization(kernels(*[0.05, 0.9] * 48))
    assert not found.found
    assert found.sorted_difference == pytest.approx(0.85, abs=1e-6)
    assert 0.1 < found.threshold < 0.5


def test_kernels_count_by_their_energy():
    weak = kernels(*[0.0] * 8)
    weak[4:] *= 1e-3
    strong_colour = kernels(1.0) * 1.0
    found = specialization(np.concatenate([weak[:4], weak[4:7], strong_colour]))
    assert found.colours[1] == pytest.approx(1, abs=1e-4)


def test_one_in_a_thousand_unspecialized_nets_is_taken_for_one():
    """Over fresh nets: the rate of false finds is near 0.001."""
    found = [specialization(RNG.normal(0, 0.01, (16, 3, 3, 3))).found for _ in range(150)]
    assert sum(found) <= 3


def test_the_threshold_of_fresh_nets_is_theirs():
    """Two hundred real draws of kernels stay below, and not by far."""
    threshold = fresh_threshold(32, 5)
    differences = [specialization(RNG.normal(0, 0.01, (32, 3, 5, 5))).difference for _ in range(200)]
    assert max(differences) < 1.2 * threshold
    assert max(differences) > 0.5 * threshold


FACTS = {"recipe": "r", "machine": {"processor": "EPYC"}}


def member(seed, made):
    return Member(seed=seed, kernels=made.astype(np.float16), errors={"top1_error": seed / 100}, facts=FACTS)


def test_members_are_kept_small_and_each_is_read_as_it_was(tmp_path):
    members = [member(seed, kernels(*[0.5] * 96)) for seed in (10, 2)]
    for each in members:
        keep(tmp_path / "net", each)
    for each in members:
        found = read_member(tmp_path / "net", each.seed)
        assert (found.seed, found.errors, found.facts) == (each.seed, each.errors, FACTS)
        assert found.kernels.dtype == np.float16
        assert (found.kernels == each.kernels).all()
    assert (tmp_path / "net/seed-10.npz").stat().st_size < 96 * 3 * 121 * 2 + 1500


def test_nothing_is_there_at_first(tmp_path):
    assert read_member(tmp_path / "nowhere", 0) is None


@pytest.mark.parametrize("kept", [0, 1, 100, 1000, -1])
def test_a_file_that_was_cut_is_named(tmp_path, kept):
    keep(tmp_path, member(3, kernels(*[0.5] * 8)))
    path = tmp_path / "seed-3.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"seed-3\.npz: damaged.*; delete it, and this seed will be run again"):
        read_member(tmp_path, 3)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (np.zeros((8, 3, 11)), "not float16 any x 3 x any x any"),
        (np.zeros((8, 1, 11, 11)), "not float16 any x 3 x any x any"),
        (np.zeros((7, 3, 11, 11)), "no kernels of two towers"),
        (np.zeros((8, 3, 11, 9)), "no kernels of two towers"),
        (np.full((8, 3, 11, 11), np.nan), "no kernels of two towers"),
    ],
)
def test_kernels_that_cannot_be_measured_are_refused(tmp_path, made, words):
    keep(tmp_path, member(3, made))
    with pytest.raises(InputError, match=words):
        read_member(tmp_path, 3)
