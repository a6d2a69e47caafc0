"""The first minute: a small net with all of the paper's ideas learns handwritten digits, without any download.

Claim: ReLU, local response normalization, overlapping pooling and dropout, trained by the 2012 update, read digits.
Setting: net and recipe `digits`, scikit-learn's 1,797 scans of 8x8 pixels, a fifth of them held out for the test.
Report: test error, pictures of predictions and of first-layer kernels.
"""

from dataclasses import dataclass
from pathlib import Path

from alexnet.data.datasets import open_data
from alexnet.pictures import draw_kernels, draw_predictions
from alexnet.predict import Prediction, load
from alexnet.train.observer import Observer
from alexnet.train.options import RunOptions
from alexnet.train.run import RunResult, train

DATA = "digits"
NUM_ORDINARY, NUM_HARDEST = 12, 6
PREDICTIONS, KERNELS = "predictions.png", "kernels.png"


@dataclass(frozen=True, kw_only=True)
class FirstMinute:
    """What the demo shows: the run, and for some test images (truth, ranked answers)."""

    result: RunResult
    answers: list[tuple[str, list[Prediction]]]


def first_minute(observer: Observer, out: str | Path | None = None) -> FirstMinute:
    """Train, measure, classify, draw. Everything is kept in the run folder, `out` or runs/digits-<time>.

    Raises:
        MissingExtraError: torch, scikit-learn or matplotlib is not installed.
    """
    result = train(RunOptions(data=DATA, net=DATA), observer, out=out)
    dataset = open_data(DATA)
    split = dataset.split("test")
    classifier = load(result.out)
    answers = classifier.predict_batch([split.image(index) for index in range(len(split))], top=3)
    shown = [*range(NUM_ORDINARY), *_hardest(answers)]
    images = [split.image(index) for index in shown]
    truths = [dataset.classes[split.labels[index]].name for index in shown]
    ranked = [answers[index] for index in shown]
    draw_predictions(images, ranked, truths, result.out / PREDICTIONS)
    draw_kernels(classifier.weights.tensors["conv1.weight"], result.out / KERNELS)
    return FirstMinute(result=result, answers=list(zip(truths, ranked, strict=True)))


def _hardest(answers: list[list[Prediction]]) -> list[int]:
    """Where the net is least sure of its first answer."""
    return sorted(range(len(answers)), key=lambda index: answers[index][0].probability)[:NUM_HARDEST]
