import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from alexnet.cli import main
from alexnet.weights import Weights, save_weights


class Finished(NamedTuple):
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout as exactly one JSON object."""
        assert (self.status, self.stderr) == (0, "")
        loaded = json.loads(self.stdout)
        assert isinstance(loaded, dict)
        return loaded

    @property
    def error(self) -> str:
        """The one line of a failure, which has left stdout empty."""
        assert self.stdout == ""
        assert self.stderr.startswith("alexnet: error: ")
        assert self.stderr.count("\n") == 1
        return self.stderr.removeprefix("alexnet: error: ").rstrip("\n")


Run = Callable[..., Finished]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`alexnet ARGUMENTS` in this process."""

    def run(*arguments: str | Path) -> Finished:
        status = main([str(argument) for argument in arguments])
        return Finished(status, *capsys.readouterr())

    return run


@pytest.fixture
def weights_file(tmp_path: Path, tiny_weights: Weights) -> Path:
    """The tiny weights in a file."""
    path = tmp_path / "tiny.safetensors"
    save_weights(path, tiny_weights)
    return path


@pytest.fixture
def photos(tmp_path: Path, tiny_weights: Weights) -> Path:
    """A folder of class folders, train and val, two images a class each."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for info in tiny_weights.classes:
            folder = tmp_path / "photos" / split / info.name
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"
