import numpy as np
import pytest

from alexnet.export.ranges import Observed, UInt8Scale, spanning


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (0.0, 7.0), (-2.0, -1.0), (1.0, 2.0), (0.0, 0.0)])
def test_zero_is_always_a_level(low: float, high: float) -> None:
    scale = spanning(low, high)
    assert 0 <= scale.zero_point <= 255
    assert scale.scale > 0
    np.testing.assert_array_equal(scale.rounded(np.zeros(3, np.float32)), 0)


def test_what_is_inside_the_range_moves_by_half_a_step_at_most() -> None:
    values = np.linspace(-3, 5, 1001, dtype=np.float32)
    scale = spanning(-3, 5)
    assert np.abs(scale.rounded(values) - values).max() <= 0.5001 * scale.scale


def test_levels_end_at_0_and_255() -> None:
    scale = UInt8Scale(0.5, 10)
    np.testing.assert_array_equal(scale.rounded(np.array([-99.0, 999.0], np.float32)), [-5.0, 122.5])


def test_a_long_tail_is_clipped_where_that_loses_less() -> None:
    """The scale of least squared error, against every share tried one by one."""
    values = np.abs(np.random.default_rng(0).laplace(size=20_000)).astype(np.float32)
    values[:20] *= 3
    most = float(values.max())
    observed = Observed()
    observed.add(values)
    chosen = observed.scale(is_clipped=False)

    def loss(high: float) -> float:
        return float(np.square(spanning(0, high).rounded(values) - values).mean())

    assert chosen.scale < most / 255
    assert loss(255 * chosen.scale) <= min(loss(most * share) for share in np.linspace(0.3, 1, 36)) * 1.001


def test_below_a_relu_nothing_counts() -> None:
    values = np.linspace(-50, 1, 1000, dtype=np.float32)
    observed = Observed()
    observed.add(values)
    assert observed.scale(is_clipped=True).zero_point == 0
    assert observed.scale(is_clipped=True).scale <= 1 / 255
    assert observed.scale(is_clipped=False).zero_point > 100


def test_nothing_seen_and_numbers_that_are_none_are_told() -> None:
    observed = Observed()
    assert not observed.is_finite
    observed.add(np.ones(3, np.float32))
    assert observed.is_finite
    observed.add(np.array([np.nan], np.float32))
    assert not observed.is_finite


def test_batches_add_up() -> None:
    observed = Observed()
    observed.add(np.array([1.0, 2.0], np.float32))
    observed.add(np.array([-4.0, 9.0], np.float32))
    assert (observed.low, observed.high) == (-4, 9)
