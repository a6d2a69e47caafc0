import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

BENCH = Path(__file__).resolve().parents[2] / "bench"


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


WNIDS = ("n01440764", "n01443537", "n01484850")  # ILSVRC2012_IDs 449, 450, 442


@pytest.fixture
def imagenet(tmp_path: Path) -> Callable[..., Path]:
    """ILSVRC-2012 as distributed and unpacked, in small: three classes, six flat validation images."""

    def make(below: str = "imagenet", truth: str | None = "449\n450\n442\n442\n450\n449\n") -> Path:
        root = tmp_path / below
        rng = np.random.default_rng(0)

        def save(path: Path) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 28, 3), np.uint8)).save(path, "JPEG")

        for wnid in WNIDS:
            for number in range(4):
                save(root / "train" / wnid / f"{wnid}_{number}.JPEG")
        for number in range(1, 7):
            save(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG")
        if truth is not None:
            (root / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
        return root

    return make


@pytest.fixture(scope="session")
def odd_images() -> ModuleType:
    """bench/odd_images.py: the table that people see is the one that is tested."""
    spec = spec_from_file_location("odd_images", BENCH / "odd_images.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["odd_images"] = module
    spec.loader.exec_module(module)
    return module
