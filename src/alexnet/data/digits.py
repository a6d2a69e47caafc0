"""1,797 real handwritten digits of 8x8 pixels that come inside scikit-learn: a data set without a download."""

import numpy as np
from numpy.typing import NDArray

from alexnet.data.splits import ArraySplit, DataSet, unnamed_classes
from alexnet.errors import MissingExtraError

_SEED, _TEST_EVERY = 2012, 5  # ours; the set has no official split


def open_digits() -> DataSet:
    """Splits `train` and `test`, about 80 and 20 % of every class, always the same ones in the same order.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "demo") from None
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=-1)
    labels = digits.target.astype(np.int64)
    order = np.random.default_rng(_SEED).permutation(len(labels))
    held_out = _held_out(labels[order])
    parts = {"train": order[~held_out], "test": order[held_out]}
    return DataSet(
        name="digits",
        classes=unnamed_classes(10),
        splits={
            name: ArraySplit(images[part], labels[part], tuple(f"digits/{index:04d}" for index in part))
            for name, part in parts.items()
        },
        fingerprint=f"scikit-learn-digits-{_SEED}",
    )


def _held_out(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for every fifth image of every class, so that both parts stay shuffled."""
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        mask[np.flatnonzero(labels == label)[_TEST_EVERY // 2 :: _TEST_EVERY]] = True
    return mask
