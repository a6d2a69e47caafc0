from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> Callable[..., Image.Image]:
    """Noise that does not look the same turned or mirrored; another one for every seed."""

    def make(height: int = 20, width: int = 28, seed: int = 0) -> Image.Image:
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))

    return make


@pytest.fixture(scope="session")
def encoded(picture) -> Callable[..., bytes]:
    def make(suffix: str = "png", **size: int) -> bytes:
        file = BytesIO()
        picture(**size).save(file, suffix)
        return file.getvalue()

    return make


@pytest.fixture
def class_folders(tmp_path: Path, picture) -> Callable[..., Path]:
    """Writes `{class name: number of images}` below a folder."""

    def make(counts: dict[str, int], below: str = "photos") -> Path:
        for name, count in counts.items():
            folder = tmp_path / below / name
            folder.mkdir(parents=True)
            for number in range(count):
                picture(seed=number).save(folder / f"{number:03d}.png")
        return tmp_path / below

    return make
