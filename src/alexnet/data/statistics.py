"""Mean image, mean colour and colour PCA of the training images: computed once, kept by content.

Source: Krizhevsky et al. 2012, sec. 2 (mean) and 4.1 (PCA); cuda-convnet's `data_mean` and `color_pca`.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.cache import cache_dir
from alexnet.data.damaged import OnDamaged, refuse
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import DataSet, Split
from alexnet.errors import DataError, ImageError
from alexnet.preprocess import Resize, canvas_size, resize_image

Progress = Callable[[int, int], None]

_IMAGES_PER_BLOCK = 256  # ours: sums of that many images fit uint16, whose addition is twice as quick as uint32's
_MIDDLE = 128.0  # subtracted before squaring, so that the covariance keeps its digits


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
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                arrays = {name: saved[name] for name in cls.__dataclass_fields__}
        except Exception as error:
            raise DataError(f"{path}: not a statistics file ({error})") from None
        return cls(**arrays | {"num_images": int(arrays["num_images"])})


@dataclass(frozen=True, eq=False)
class PixelSums:
    """Sums over canvases. They are whole numbers and exact, so that no order of adding them changes the statistics.

    64 bits hold the sums of 2 ** 33 canvases of 256 x 256 pixels.
    """

    pixels: NDArray[np.int64]  # (3, H, W)
    products: NDArray[np.int64]  # (3, 3), of channel times channel, each less the middle grey
    num_images: int

    @classmethod
    def zero(cls, canvas: tuple[int, int]) -> Self:
        """Of no image."""
        return cls(np.zeros((3, *canvas), np.int64), np.zeros((3, 3), np.int64), 0)

    @classmethod
    def over(cls, canvases: Iterable[NDArray[np.uint8]], canvas: tuple[int, int]) -> Self:
        """Of at most 257 canvases (3, H, W), whose sums fit uint16."""
        pixels = np.zeros((3, *canvas), np.uint16)
        products = np.zeros((3, 3), np.int64)
        num_images = 0
        for image in canvases:
            np.add(pixels, image, out=pixels)
            products += _products(image)
            num_images += 1
        return cls(pixels.astype(np.int64), products, num_images)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.pixels + other.pixels, self.products + other.products, self.num_images + other.num_images
        )

    def statistics(self) -> "Statistics":
        """What the sums of one image or more come to."""
        mean_image = self.pixels / self.num_images
        mean_color = mean_image.mean(axis=(1, 2))
        shifted = mean_color - _MIDDLE
        covariance = self.products / (self.num_images * mean_image[0].size) - np.outer(shifted, shifted)
        eigenvalues, eigenvectors = np.linalg.eigh(covariance)
        return Statistics(
            mean_image=mean_image.astype(np.float32),
            mean_color=mean_color.astype(np.float32),
            pca_stdevs=np.sqrt(np.maximum(eigenvalues, 0.0)).astype(np.float32),
            pca_eigenvectors=eigenvectors.astype(np.float32),
            num_images=self.num_images,
        )


def _products(canvas: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums over pixels of channel times channel, whole numbers, which float64 adds exactly up to 2 ** 39 of them.

    By einsum: the threads that BLAS starts for a dot product of this length hinder those that decode (measured on two
    busy cores: 22 images/s against 230).
    """
    planes = canvas.reshape(3, -1).astype(np.float64) - _MIDDLE
    products = np.empty((3, 3), np.int64)
    for i in range(3):
        for j in range(i, 3):
            products[i, j] = products[j, i] = np.einsum("p,p->", planes[i], planes[j])
    return products


def fit(
    split: Split,
    resize: Resize,
    interpolation: str,
    workers: int = 2,
    progress: Progress | None = None,
    on_damaged: OnDamaged = refuse,
) -> Statistics:
    """One pass over the split in constant memory. `progress(done, total)` is called after every block.

    Damaged images are given to `on_damaged`, and left out where that does not raise.

    Raises:
        DataError: no image that can be read.
        ImageError: a damaged image, with its name.
    """
    blocks = [
        range(start, min(start + _IMAGES_PER_BLOCK, len(split))) for start in range(0, len(split), _IMAGES_PER_BLOCK)
    ]
    total, done = PixelSums.zero(canvas_size(resize)), 0
    for part, damaged in prefetch(partial(_sum_block, split, resize, interpolation), blocks, workers, 2 * workers):
        for error in damaged:
            on_damaged(error)
        total += part
        done += part.num_images + len(damaged)
        if progress:
            progress(done, len(split))
    if total.num_images == 0:
        raise DataError("no images to take statistics of")
    return total.statistics()


def _sum_block(split: Split, resize: Resize, interpolation: str, indices: range) -> tuple[PixelSums, list[ImageError]]:
    damaged: list[ImageError] = []

    def canvases() -> Iterator[NDArray[np.uint8]]:
        for index in indices:
            try:
                yield resize_image(split.image(index), resize, interpolation)
            except ImageError as error:
                damaged.append(error)

    return PixelSums.over(canvases(), canvas_size(resize)), damaged


def cached_statistics(
    dataset: DataSet,
    split_name: str,
    resize: Resize,
    interpolation: str,
    workers: int = 2,
    progress: Progress | None = None,
    on_damaged: OnDamaged = refuse,
) -> Statistics:
    """`fit`, or what it gave for the same content and settings before: when the images were prepared, or in the cache.

    Raises as `fit` does.
    """
    split = dataset.split(split_name)
    settings = json.dumps([dataset.fingerprint, split_name, resize, interpolation])
    kept = cache_dir() / "statistics" / f"{hashlib.sha256(settings.encode()).hexdigest()[:32]}.npz"
    prepared = dataset.statistics if split_name == "train" else None
    if found := _load(prepared, resize) or _load(kept, resize):
        if progress:
            progress(len(split), len(split))
        return found
    statistics = fit(split, resize, interpolation, workers, progress, on_damaged)
    if statistics.num_images == len(split):  # damaged images may be repaired, and a disk that was away come back
        with suppress(OSError):  # no place to keep it: it is computed again next time
            statistics.save(kept)
    return statistics


def _load(path: Path | None, resize: Resize) -> Statistics | None:
    """Those in a file, if there are any, they are whole, and of canvases of this size."""
    with suppress(DataError):
        found = Statistics.load(path) if path else None
        return found if found and found.mean_image.shape == (3, *canvas_size(resize)) else None
    return None
