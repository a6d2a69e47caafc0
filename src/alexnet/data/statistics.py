"""Mean image, mean colour and colour PCA of the training images: computed once, kept by content.

Source: Krizhevsky et al. 2012, sec. 2 (mean) and 4.1 (PCA); cuda-convnet's `data_mean` and `color_pca`.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.cache import cache_dir
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import DataSet, Split
from alexnet.errors import DataError
from alexnet.preprocess import Resize, canvas_size, resize_image

Progress = Callable[[int, int], None]

_IMAGES_PER_BLOCK = 256  # ours: sums of that many images fit uint16, whose addition is twice as quick as uint32's
_MIDDLE = 128.0  # subtracted before squaring, so that float32 products keep their digits


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the training images look like, in grey levels 0 to 255, channels R, G, B.

    `pca_stdevs` are the square roots of the eigenvalues of the covariance over all pixels, ascending;
    `pca_eigenvectors` has the eigenvectors in columns.
    """

    mean_image: NDArray[np.float32]  # (3, H, W)
    mean_color: NDArray[np.float32]  # (3,)
    pca_stdevs: NDArray[np.float32]  # (3,)
    pca_eigenvectors: NDArray[np.float32]  # (3, 3)
    num_images: int

    def save(self, path: Path) -> None:
        """Write as .npz, whole or not at all. Raises `OSError`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as part, part.open("wb") as file:
            np.savez(file, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            DataError: missing, or not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in cls.__dataclass_fields__}
        except Exception as error:
            raise DataError(f"{path}: not a statistics file ({error})") from None
        return cls(**arrays | {"num_images": int(arrays["num_images"])})


class _Sums(NamedTuple):
    pixels: NDArray[np.float64]  # (3, H, W)
    products: NDArray[np.float64]  # (3, 3), of pixels less the middle grey
    num_images: int


def fit(
    split: Split, resize: Resize, interpolation: str, workers: int = 2, progress: Progress | None = None
) -> Statistics:
    """One pass over the split in constant memory. `progress(done, total)` is called after every block.

    Raises:
        DataError: an empty split.
        ImageError: a damaged image, with its name.
    """
    if len(split) == 0:
        raise DataError("no images to take statistics of")
    blocks = [
        range(start, min(start + _IMAGES_PER_BLOCK, len(split))) for start in range(0, len(split), _IMAGES_PER_BLOCK)
    ]
    total = _Sums(np.zeros((3, *canvas_size(resize))), np.zeros((3, 3)), 0)
    for part in prefetch(partial(_sum_block, split, resize, interpolation), blocks, workers, ahead=2 * workers):
        total = _Sums(total.pixels + part.pixels, total.products + part.products, total.num_images + part.num_images)
        if progress:
            progress(total.num_images, len(split))
    return _finish(total)


def _sum_block(split: Split, resize: Resize, interpolation: str, indices: range) -> _Sums:
    pixels = np.zeros((3, *canvas_size(resize)), np.uint16)
    products = np.zeros((3, 3))
    for index in indices:
        canvas = resize_image(split.image(index), resize, interpolation)
        np.add(pixels, canvas, out=pixels)
        products += _products(canvas)
    return _Sums(pixels.astype(np.float64), products, len(indices))


def _products(canvas: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sums over pixels of channel times channel. Six dot products: a 3-row matrix product is five times as slow."""
    planes = canvas.reshape(3, -1).astype(np.float32) - np.float32(_MIDDLE)
    products = np.empty((3, 3))
    for i in range(3):
        for j in range(i, 3):
            products[i, j] = products[j, i] = np.dot(planes[i], planes[j])
    return products


def _finish(sums: _Sums) -> Statistics:
    mean_image = sums.pixels / sums.num_images
    mean_color = mean_image.mean(axis=(1, 2))
    shifted = mean_color - _MIDDLE
    covariance = sums.products / (sums.num_images * mean_image[0].size) - np.outer(shifted, shifted)
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    return Statistics(
        mean_image=mean_image.astype(np.float32),
        mean_color=mean_color.astype(np.float32),
        pca_stdevs=np.sqrt(np.maximum(eigenvalues, 0.0)).astype(np.float32),
        pca_eigenvectors=eigenvectors.astype(np.float32),
        num_images=sums.num_images,
    )


def cached_statistics(
    dataset: DataSet,
    split_name: str,
    resize: Resize,
    interpolation: str,
    workers: int = 2,
    progress: Progress | None = None,
) -> Statistics:
    """`fit`, or what it gave for the same content and settings before. Raises as `fit` does."""
    settings = json.dumps([dataset.fingerprint, split_name, resize, interpolation])
    kept = cache_dir() / "statistics" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npz"
    with suppress(DataError):
        return Statistics.load(kept)
    statistics = fit(dataset.split(split_name), resize, interpolation, workers, progress)
    with suppress(OSError):  # no place to keep it: it is computed again next time
        statistics.save(kept)
    return statistics
