"""Numbers about first-layer kernels: how much colour is in them, and how much of one direction.

`kernels` are float (K, 3, k, k), RGB, and are taken as they are: a kernel multiplies pixels whose mean is 0, so its
own mean is its answer to a uniform colour. To take that away would take from colour blobs what they are there for.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Kernels = NDArray[np.floating[Any]]
Values = NDArray[np.float64]


def chroma_energies(kernels: Kernels) -> tuple[Values, Values]:
    """(K,) energy off grey and (K,) all energy; off grey is what is left of each pixel's R, G and B less their mean."""
    weights = kernels.astype(np.float64)
    off_grey = weights - weights.mean(axis=1, keepdims=True)
    chroma: Values = (off_grey**2).sum(axis=(1, 2, 3))
    total: Values = (weights**2).sum(axis=(1, 2, 3))
    return chroma, total


def chroma_shares(kernels: Kernels) -> Values:
    """(K,) from 0 (grey) to 1 (no grey at all); 2/3 on average for random kernels. 0 for a kernel of zeros."""
    chroma, total = chroma_energies(kernels)
    return chroma / np.maximum(total, np.finfo(np.float64).tiny)


def coherences(kernels: Kernels) -> Values:
    """(K,) from 0 (no direction) to 1 (stripes of one direction): the difference of the eigenvalues of the structure
    tensor, summed over the kernel and its colours, over their sum. 0 for a uniform kernel.

    Source: Bigün and Granlund 1987.
    """
    rows, columns = np.gradient(kernels.astype(np.float64), axis=(2, 3))
    yy, xx, xy = ((a * b).sum(axis=(1, 2, 3)) for a, b in ((rows, rows), (columns, columns), (rows, columns)))
    apart: Values = np.hypot(xx - yy, 2 * xy)
    shares: Values = apart / np.maximum(xx + yy, np.finfo(np.float64).tiny)
    return shares
