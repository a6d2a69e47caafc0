from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.experiments.claims.answers import Answers, Wrong
from alexnet.experiments.claims.claim import Asked, Claim, Study
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.settings import DIGITS
from alexnet.experiments.claims.study import open_study
from alexnet.train import epochs
from alexnet.train.observer import Silent
from alexnet.train.options import RunOptions
from alexnet.train.run import train


@pytest.fixture(autouse=True)
def _no_pictures(no_pictures: None) -> None:
    """Of no run of these tests."""


@pytest.fixture
def stand_in() -> Claim:
    """A claim that can be tried on digits in two short epochs, and finds nothing."""
    return Claim(
        name="stand-in",
        statement="digits are digits",
        source="sec. 0",
        published="1 point",
        settings=(replace(DIGITS, epochs=2, seeds=2),),
        run=lambda study: Finding(ours=study.slug, verdict="cannot tell", setting={}),
    )


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Asked]:
    """What is asked for, two steps an epoch on digits and all files in the test's folder, but for what is said."""

    def ask(**options: object) -> Asked:
        folders = {"out": tmp_path / "claims", "runs": tmp_path / "runs", "population": tmp_path / "population"}
        return Asked(**folders | {"data": "digits", "device": "cpu", "workers": 1} | options)

    return ask


@pytest.fixture
def open_on_digits(ask: Callable[..., Asked]) -> Callable[..., Study]:
    """A study of a claim on digits, whatever data it is for."""

    def open_on_digits(claim: Claim, **options: object) -> Study:
        settings = tuple(replace(setting, fits=DIGITS.fits) for setting in claim.settings[:1])
        if not claim.num_weights:
            settings = (replace(settings[0], net="digits", recipe=None, epochs=2, seeds=2),)
            options = {"limit_train_batches": 2, **options}
        return open_study(replace(claim, settings=settings), ask(**options), Silent())

    return open_on_digits


@pytest.fixture(scope="session")
def digits_runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two run folders of the digits net, trained for ten steps from other seeds."""
    folders = [tmp_path_factory.mktemp("digits") / f"seed-{seed}" for seed in (0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epochs, "draw_curves", lambda *_: None)
        for seed, folder in enumerate(folders):
            options = RunOptions(data="digits", epochs=1, limit_train_batches=10, seed=seed)
            train(options, Silent(), out=folder, device="cpu", workers=1)
    return [str(folder) for folder in folders]


@pytest.fixture
def answers_with() -> Callable[..., Answers]:
    """Answers of which so many of 100 held-out and of 100 training images are wrong, the first ones."""

    def wrong(top1: int, top5: int) -> Wrong:
        places = np.arange(100)
        return Wrong(indices=places, top1=(places < top1).astype(float), top5=(places < top5).astype(float))

    def answers_with(top1: int, top5: int = 0, train: int = 0) -> Answers:
        return Answers(held_out=wrong(top1, top5), train=wrong(train, 0))

    return answers_with
