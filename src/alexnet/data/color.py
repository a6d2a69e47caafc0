"""Colour noise along the principal components of the training pixels.

`x <- (x - mean + coeff * noise) / (1 + coeff)`, one draw for all pixels of an image, only in training.

Source: Krizhevsky et al. 2012, sec. 4.1; cuda-convnet convdata.py.
Differs from the paper's text, as the code did: components are scaled by standard deviations, not by eigenvalues (those
would shift colours by hundreds of grey levels), and the sum is divided by 1 + coeff.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def draw_noise(rng: np.random.Generator, n: int, stdevs: Floats, eigenvectors: Floats) -> Floats:
    """Noise (n, 3) in grey levels: R, G, B of `mix_noise` with alpha ~ N(0, 1)."""
    return mix_noise(rng.standard_normal((n, 3)), stdevs, eigenvectors)


def mix_noise(alpha: NDArray[np.floating], stdevs: Floats, eigenvectors: Floats) -> Floats:
    """noise_c = sum over k of eigenvectors[c, k] * stdevs[k] * alpha_k; alpha and noise are (n, 3)."""
    return ((alpha * stdevs) @ np.asarray(eigenvectors, np.float64).T).astype(np.float32)


def apply_noise(x: Floats, noise: Floats, coeff: float) -> Floats:
    """Images (N, 3, H, W) from which the mean is subtracted already, with noise (N, 3)."""
    noisy: Floats = ((x + np.float32(coeff) * noise[:, :, None, None]) / np.float32(1 + coeff)).astype(np.float32)
    return noisy
