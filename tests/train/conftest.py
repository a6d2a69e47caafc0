import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.train.runs import Begin

from alexnet.arch.rows import Conv, Dropout, Fc, Relu, Softmax
from alexnet.arch.spec import Spec
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.evaluate import Evaluation
from alexnet.nn import Net, build
from alexnet.train import epochs, loop, saver
from alexnet.train.options import RunOptions
from alexnet.train.pruning import Pruner
from alexnet.train.run import RunResult, train
from alexnet.train.sgd import Sgd2012
from alexnet.train.sharing import ValueSharer

COLOURS = {"blue": (40, 70, 200), "green": (60, 180, 70), "red": (200, 50, 60)}
IMAGES_PER_CLASS = 32


class Watching:
    """An observer that keeps the news, and presses Ctrl-C (or sends another signal) after so many steps if asked to."""

    def __init__(
        self, *, stop_after: int | None = None, by: signal.Signals = signal.SIGINT, counts: bool = True
    ) -> None:
        self.news: list[str] = []
        self.work: list[tuple[str, int]] = []  # (description, images that were announced and then came)
        self.steps, self._stop_after, self._by, self._counts = 0, stop_after, by, counts

    def say(self, line: str) -> None:
        self.news.append(line)

    @contextmanager
    def progress(self, description: str, total: int, unit: str) -> Iterator[Callable[..., None]]:
        done = 0

        def advance(count: int = 1, note: str = "") -> None:
            nonlocal done
            done += count
            if description.startswith("epoch"):
                self.steps += 1
                if self.steps == self._stop_after:
                    signal.raise_signal(self._by)

        yield advance
        assert unit == "images"
        if self._counts:  # damaged images do not come
            assert done == total, f"{description}: {total} images were announced, {done} came"
        self.work.append((description, done))


@pytest.fixture
def watching() -> type[Watching]:
    return Watching


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of noisy pictures in three colours, 18x18, of which about a tenth is held out."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("train") / "photos"
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            pixels = np.clip(rng.normal(colour, 40, (18, 18, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02d}.png")
    return root


@pytest.fixture
def begin(tmp_path: Path, photos: Path, watching) -> Begin:
    """Train the digits net for two epochs of five steps of 16 photos into `tmp_path / name`; `more` are run options."""

    def begin(
        name: str = "run", observer: Any = None, resume: bool = False, workers: int = 1, **more: Any
    ) -> RunResult:
        settings = {"data": str(photos), "net": "digits", "epochs": 2, "batch_size": 16, "precision": "fp32", **more}
        options = RunOptions(**{"limit_train_batches": 5, **settings})
        folder = tmp_path / name
        return train(options, observer or watching(), out=folder, resume=resume, device="cpu", workers=workers)

    return begin


@pytest.fixture
def checkpoint_every_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS_PER_RECORD", 2)
    monkeypatch.setattr(saver, "SECONDS_PER_CHECKPOINT", -1.0)


@pytest.fixture
def scripted_errors(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The validation errors, and if need be the losses, that a run will measure, epoch after epoch."""

    def script(errors: list[float], with_losses: list[float] | None = None) -> None:
        remaining, losses = iter(errors), iter(with_losses or [1.0] * len(errors))

        def evaluate(classifiers: Any, split: Any, classes: Any, *, progress: Any, **_: Any) -> Evaluation:
            progress(len(split))
            return Evaluation(
                top1_error=next(remaining),
                top5_error=None,
                loss=next(losses),
                images=len(split),
                views="center",
                images_per_second=1.0,
            )

        monkeypatch.setattr(epochs, "evaluate", evaluate)

    return script


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return open_data("digits")


@pytest.fixture
def small_net() -> Net:
    """Two weight rows in float64, so that sums by hand agree to many digits."""
    rows = (
        Conv("conv1", 2, 3),
        Relu("relu1"),
        Dropout("drop1", 0.5),
        Fc("fc2", 3, weight_std=0.1, bias_init=0.0),
        Softmax("prob"),
    )
    net = build(Spec(name="small", source="a test", input=(3, 5, 5), rows=rows), seed=0)
    return net.double()


@pytest.fixture
def walk() -> Callable[..., None]:
    """Updates, each made inside of a constraint, by gradients that are their step's own."""

    def walk(net: Net, constraint: Pruner | ValueSharer, optimizer: Sgd2012, steps: range) -> None:
        for step in steps:
            generator = torch.Generator().manual_seed(step)
            for parameter in net.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator) * 0.01
            with constraint.around(step):
                optimizer.step()

    return walk
