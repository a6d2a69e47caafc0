import numpy as np

from alexnet.data.transforms import draw_crops


def rng(seed=0):
    return np.random.default_rng(seed)


def test_2012_draws_once_for_32_images_in_a_row():
    offsets, flips = draw_crops(rng(), 100, 32, 32, "chunk")
    assert offsets.shape == (100, 2)
    for start in range(0, 100, 32):
        assert len({(*offset, flip) for offset, flip in zip(offsets.tolist(), flips, strict=True)}) > 1
        assert (offsets[start : start + 32] == offsets[start]).all()
        assert (flips[start : start + 32] == flips[start]).all()


def test_offsets_reach_both_ends_of_either_border_and_half_are_mirrored():
    offsets, flips = draw_crops(rng(), 20_000, 4, 7, "image")
    np.testing.assert_array_equal(np.unique(offsets[:, 0]), range(5))
    np.testing.assert_array_equal(np.unique(offsets[:, 1]), range(8))
    assert abs(flips.mean() - 0.5) < 0.02  # more than five standard deviations


def test_center_is_half_of_the_border_without_flips():
    offsets, flips = draw_crops(rng(), 3, 32, 9, "center")
    np.testing.assert_array_equal(offsets, [[16, 4]] * 3)
    assert not flips.any()


def test_without_flip_the_offsets_stay_the_same():
    with_flips, _ = draw_crops(rng(), 50, 8, 8, "image", flip=True)
    without, flips = draw_crops(rng(), 50, 8, 8, "image", flip=False)
    np.testing.assert_array_equal(with_flips, without)
    assert not flips.any()
