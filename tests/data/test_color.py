"""Golden numbers: cuda-convnet's `color_pca` of ImageNet and what the 2012 formula makes of it."""

import numpy as np

from alexnet.data.color import apply_noise, draw_noise, mix_noise

STDEVS = np.array([19.72083, 37.09389, 121.78006], np.float32)
EIGENVECTORS = np.array(
    [
        [0.41795513, -0.71257945, -0.56351045],
        [-0.81698062, -0.02354167, -0.57618440],
        [0.39731118, 0.70119634, -0.59200296],
    ],
    np.float32,
)


def test_noise_of_equal_alphas_matches_the_2012_numbers():
    noise = mix_noise(np.ones((1, 3)), STDEVS, EIGENVECTORS)
    np.testing.assert_allclose(0.1 * noise[0], [-8.681426, -8.715256, -3.824875], atol=2e-5)


def test_brightness_noise_on_a_pixel_matches_the_2012_numbers():
    pixel = np.array([100, 50, -20], np.float32).reshape(1, 3, 1, 1)
    noise = mix_noise(np.array([[0.0, 0.0, 1.0]]), STDEVS, EIGENVECTORS)
    noisy = apply_noise(pixel, noise, 0.1)
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy.ravel(), [84.670515, 39.075657, -24.735832], atol=2e-5)


def test_noise_has_the_covariance_of_the_pixels_it_was_fitted_to():
    noise = draw_noise(np.random.default_rng(0), 200_000, STDEVS, EIGENVECTORS)
    assert noise.shape == (200_000, 3)
    expected = EIGENVECTORS @ np.diag(STDEVS**2) @ EIGENVECTORS.T
    np.testing.assert_allclose(np.cov(noise.T), expected, rtol=0.02)


def test_every_image_gets_one_offset_for_all_its_pixels():
    noisy = apply_noise(np.zeros((2, 3, 4, 5), np.float32), np.array([[1, 2, 3], [4, 5, 6]], np.float32), 0.5)
    np.testing.assert_allclose(noisy, np.broadcast_to(noisy[:, :, :1, :1], noisy.shape))
    np.testing.assert_allclose(noisy[:, :, 0, 0], np.array([[1, 2, 3], [4, 5, 6]]) * 0.5 / 1.5, rtol=1e-6)
