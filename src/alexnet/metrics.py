"""How good probabilities are: top-k error and negative log likelihood, as the 2012 code counted them. NumPy only.

`probs` are (N, K) with rows that sum to 1, `labels` (N,) class indices. Each function gives one value an image, so
that batches add up to exactly what the whole would give.

Source: cuda-convnet2 layer_kernels.cu (kLogregCost, kMultiSoftmaxCost).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Probs = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

MIN_CLASSES_FOR_TOP5 = 6  # with five classes or fewer the top five always hold the label

# The smallest normal float32: a probability that underflowed costs 87.3 nats, not infinity. Ours.
_SMALLEST = float(np.finfo(np.float32).tiny)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis, (..., K) to (..., K); the maximum is taken off first, so nothing overflows."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def topk_credit(probs: Probs, labels: Labels, k: int) -> NDArray[np.float64]:
    """The chance, 0 to 1 and float64 (N,), that the label is among the top k when ties are broken by lot.

    With `above` classes more probable than the label and `tied` as probable, itself included, that is
    (k - above) / tied, cut to 0..1. For k = 1 a label that shares the top with others gets 1 / number of ties, as in
    2012; for k = 5 a label tied with two others for the last free place gets 1/3. A network that says the same of all
    classes therefore scores chance, k / K. A probability that is not a number counts as more probable than the label.
    """
    of_label = np.take_along_axis(probs, labels[:, None], axis=1)
    above = (~(probs <= of_label)).sum(axis=1)
    tied = np.maximum((probs == of_label).sum(axis=1), 1)
    credit: NDArray[np.float64] = np.clip((k - above) / tied, 0.0, 1.0)
    return credit


def topk_error(probs: Probs, labels: Labels, k: int) -> float:
    """The fraction of images, 0 to 1, whose label is not among the k most probable; ties as in `topk_credit`."""
    return 1.0 - float(topk_credit(probs, labels, k).mean())


def nll(probs: Probs, labels: Labels) -> NDArray[np.float64]:
    """Negative log likelihood of the labels in nats, float64 (N,); of several views, of their mean."""
    of_label = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0].astype(np.float64)
    return -np.log(np.maximum(of_label, _SMALLEST))
