from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.collection import Collection, open_collection
from alexnet.predict import Classifier, load
from alexnet.weights import Weights


@pytest.fixture
def classifier(tiny_weights: Weights) -> Classifier:
    return load(tiny_weights)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten pictures in class folders, all for one split."""
    rng = np.random.default_rng(0)
    for name in ("red", "green", "blue", "cyan", "magenta"):
        (tmp_path / "photos/train" / name).mkdir(parents=True)
        (tmp_path / "photos/val" / name).mkdir(parents=True)
        for split, count in (("train", 1), ("val", 2)):
            for number in range(count):
                pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def collection(photos: Path) -> Collection:
    return open_collection([str(photos)], "val")
