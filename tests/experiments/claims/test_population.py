import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.experiments.claims.population import (
    Member,
    fresh_threshold,
    keep,
    read_members,
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
    assert found.difference == pytest.approx(0.85, abs=1e-6)
    assert found.found


def test_the_numbering_of_the_towers_does_not_matter():
    one = kernels(*[0.05] * 48, *[0.9] * 48)
    assert specialization(np.roll(one, 48, axis=0)).difference == pytest.approx(specialization(one).difference)


def test_two_kinds_of_kernels_that_are_mixed_are_not_specialized():
    found = specialization(kernels(*[0.05, 0.9] * 48))
    assert not found.found
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


def test_members_are_kept_small_and_read_in_order(tmp_path):
    for seed in (10, 2):
        one = kernels(*[0.5] * 96).astype(np.float16)
        keep(tmp_path / "net", Member(seed=seed, kernels=one, errors={"top1_error": seed / 100}))
    found = read_members(tmp_path / "net")
    assert [member.seed for member in found] == [2, 10]
    assert found[1].errors == {"top1_error": 0.1}
    assert found[1].kernels.dtype == np.float16
    assert (found[1].kernels == one).all() or (found[0].kernels == one).all()
    assert (tmp_path / "net/seed-10.npz").stat().st_size < 96 * 3 * 121 * 2 + 1000


def test_nothing_is_there_at_first(tmp_path):
    assert read_members(tmp_path / "nowhere") == []


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "seed-3.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"seed-3\.npz is damaged"):
        read_members(tmp_path)
