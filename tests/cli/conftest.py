import gzip
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from alexnet.cli import main, progress
from alexnet.data.shards import write_shard
from alexnet.weights import Weights, save_weights
from alexnet.weights.files import MEAN_IMAGE


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
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`alexnet ARGUMENTS` in this process; what takes long on a busy machine is as quiet as what does not."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", inf)

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


@pytest.fixture
def respelled(tmp_path: Path, weights_file: Path) -> Callable[[Callable[[dict[str, np.ndarray]], None]], Path]:
    """A copy of the tiny weights with the same metadata, whose tensors went through a function that changes them."""

    def respell(change: Callable[[dict[str, np.ndarray]], None]) -> Path:
        with safe_open(weights_file, framework="np") as file:
            metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        change(tensors)
        save_file(tensors, tmp_path / "respelled.safetensors", metadata)
        return tmp_path / "respelled.safetensors"

    return respell


def _reshape(tensors: dict[str, np.ndarray]) -> None:
    tensors["conv2.bias"] = np.zeros(9, np.float32)


def _spoil(tensors: dict[str, np.ndarray]) -> None:
    tensors["conv2.bias"][0] = np.nan


SPOILED: dict[str, tuple[Callable[[dict[str, np.ndarray]], object], str]] = {
    "missing key": (lambda tensors: tensors.pop("fc3.bias"), "missing fc3.bias"),
    "extra key": (lambda tensors: tensors.update(odd=np.zeros(3, np.float32)), "unknown odd"),
    "mis-shaped": (_reshape, "of another shape conv2.bias is (9,), not (8,)"),
    "no number": (_spoil, "NaN or infinity in conv2.bias"),
    "another mean": (
        lambda tensors: tensors.update({MEAN_IMAGE: np.zeros((3, 8, 8), np.float32)}),
        "the mean image is",
    ),
}


@pytest.fixture(params=SPOILED)
def spoiled_weights(request: pytest.FixtureRequest, respelled) -> tuple[Path, str]:
    """Weights with something wrong, and the words that say what."""
    change, words = SPOILED[request.param]
    return respelled(change), words


@pytest.fixture
def cut_shard(tmp_path: Path) -> Callable[[str, float], Path]:
    """The first share of a shard of twelve pictures in three classes, as `.tar` or `.tar.gz`."""

    def cut(suffix: str, share: float) -> Path:
        def samples() -> Iterator[tuple[str, bytes, str, int]]:
            rng = np.random.default_rng(0)
            for number in range(12):
                file = BytesIO()
                Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(file, "png")
                yield f"{number:03d}", file.getvalue(), "png", number % 3

        write_shard(tmp_path / "whole", samples())
        content = (tmp_path / "whole").read_bytes()
        if suffix == ".tar.gz":
            content = gzip.compress(content, mtime=0)
        path = tmp_path / f"pictures{suffix}"
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return cut
