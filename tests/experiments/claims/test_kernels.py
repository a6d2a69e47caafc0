import numpy as np
import pytest

from alexnet.experiments.claims.kernels import chroma_energies, chroma_shares, coherences


def grey(pattern) -> np.ndarray:
    return np.stack([pattern] * 3)[None]


PATTERN = np.random.default_rng(0).normal(size=(11, 11))


def test_grey_kernels_have_no_colour_and_opponents_no_grey():
    opponent = np.stack([PATTERN, -PATTERN, 0 * PATTERN])[None]
    assert chroma_shares(grey(PATTERN))[0] == pytest.approx(0)
    assert chroma_shares(opponent)[0] == pytest.approx(1)


def test_a_red_kernel_is_two_thirds_colour():
    """(r, 0, 0) less its mean is (2, -1, -1) r / 3, whose energy is 6/9."""
    red = np.stack([PATTERN, 0 * PATTERN, 0 * PATTERN])[None]
    assert chroma_shares(red)[0] == pytest.approx(2 / 3)


def test_a_uniform_colour_counts_as_colour_and_a_uniform_grey_as_grey():
    """Kernels are not centred: a blob that answers to a colour is coloured."""
    ones = np.ones((11, 11))
    assert chroma_shares(np.stack([ones, -ones, 0 * ones])[None])[0] == pytest.approx(1)
    assert chroma_shares(grey(ones))[0] == pytest.approx(0)


def test_random_kernels_are_two_thirds_colour_on_average():
    random = np.random.default_rng(1).normal(0, 0.01, (2000, 3, 11, 11))
    assert chroma_shares(random).mean() == pytest.approx(2 / 3, abs=0.002)


def test_energies_are_plain_sums_of_squares():
    kernels = np.random.default_rng(2).normal(size=(4, 3, 5, 5)).astype(np.float16)
    chroma, total = chroma_energies(kernels)
    wide = kernels.astype(float)
    assert total == pytest.approx((wide**2).sum(axis=(1, 2, 3)))
    grey_energy = 3 * (wide.mean(axis=1) ** 2).sum(axis=(1, 2))
    assert chroma + grey_energy == pytest.approx(total)


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 137])
def test_stripes_have_one_direction_whatever_it_is(angle):
    y, x = np.mgrid[-5:6, -5:6]
    stripes = np.cos(0.8 * (x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))))
    assert coherences(grey(stripes))[0] > 0.9


def test_blobs_and_uniform_kernels_have_none():
    y, x = np.mgrid[-5:6, -5:6]
    assert coherences(grey(np.exp(-(x**2 + y**2) / 8.0)))[0] < 0.01
    assert coherences(grey(np.ones((11, 11))))[0] == 0
    assert chroma_shares(np.zeros((1, 3, 11, 11)))[0] == 0
