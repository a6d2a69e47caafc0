"""A picture that every machine can draw: its logits, stored with weights, tell a good copy from a spoiled one."""

import numpy as np
from numpy.typing import NDArray

from alexnet.preprocess import Preprocessing, extract_views


def probe_image(canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 RGB (3, height, width), the same everywhere: integer arithmetic alone, no generator, no rounding.

    Made to change the logits of whatever is done wrong: a ramp to the right in red, a curved one downwards in green
    and slanted blocks in blue (swapped channels, transposition, mirroring), far from grey (a missing mean), under a
    fine texture (a wrong filter or scale).
    """
    height, width = canvas
    y, x = np.ogrid[:height, :width]
    shapes = np.stack(
        [
            np.broadcast_to(255 * x // width, canvas),
            np.broadcast_to(255 * y * y // (height * height), canvas),
            (x // 8 * 5 + y // 8 * 3) % 7 * 42,
        ]
    )
    texture = (x * x + 3 * x * y + 7 * y) % 61
    image: NDArray[np.int64] = (3 * shapes + 4 * texture) // 4  # at most 252
    return image.astype(np.uint8)


def probe_view(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The central crop of the probe image as a batch of one, uint8 (1, 3, crop, crop), ready for an engine."""
    image = probe_image(preprocessing.canvas)
    return extract_views(image, preprocessing.crop, "center")
