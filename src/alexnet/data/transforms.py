"""Where to crop the images of a batch, and which to mirror: drawn apart from the pixels, so that it can be repeated."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Crops = Literal["chunk", "image", "center"]


def draw_crops(
    rng: np.random.Generator,
    n: int,
    border_h: int,
    border_w: int,
    mode: Crops,
    chunk_size: int = 32,
    flip: bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Offsets (n, 2) as (y, x) in 0..border inclusive, and flips (n,), true for half of the draws where `flip`.

    mode: `chunk`, one draw for `chunk_size` images in a row, as in 2012; `image`, one for every image; `center`,
        half of the border and no flip.

    Source: cuda-convnet convdata.py, startY, startX and flip of a chunk; the paper's sec. 4.1 counts 32 x 32
    positions, the code has 33 x 33.
    """
    if mode == "center":
        return np.tile(np.array([border_h // 2, border_w // 2], np.int64), (n, 1)), np.zeros(n, bool)
    run = chunk_size if mode == "chunk" else 1
    num_draws = -(-n // run)
    offsets = rng.integers(0, [border_h, border_w], size=(num_draws, 2), endpoint=True)
    flips = rng.random(num_draws) < (0.5 if flip else 0.0)
    return np.repeat(offsets, run, axis=0)[:n], np.repeat(flips, run)[:n]
