"""What the net is at each point of the way: its size, and its errors."""

from dataclasses import dataclass
from typing import NamedTuple

from alexnet.data.damaged import DamagedImages
from alexnet.data.splits import DataSet
from alexnet.errors import InputError
from alexnet.evaluate import Evaluation, evaluate
from alexnet.predict import load
from alexnet.train.observer import Observer
from alexnet.weights import Weights
from alexnet.weights.classes import find_classes


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The net at one point of the way. `bytes`: of its file; of those that are not written, as their parts would be.

    Errors are fractions of the held-out images, centre view; `agreement` is the share of them whose first class is the
    original's. None where nothing is held out.
    """

    name: str
    bytes: int
    top1_error: float | None = None
    top5_error: float | None = None
    agreement: float | None = None


class Judged(NamedTuple):
    """Errors on the held-out images, and the share of them whose first class is the original's."""

    errors: Evaluation
    agreement: float


class Judge:
    """Measures weights on the held-out images. The original's come first: others are compared with their answers.

    Raises:
        InputError: the data have not the classes of the weights.
    """

    def __init__(self, original: Weights, dataset: DataSet, workers: int, observer: Observer) -> None:
        known = find_classes(dataset.classes, original.classes)
        if known is None or len(known) != len(original.classes):
            raise InputError(f"{dataset.name} has not the classes of the weights; train on what they were trained on")
        self.dataset, self._workers, self._observer = dataset, workers, observer
        self._originals: list[str] = []

    def __call__(self, weights: Weights, name: str) -> Judged | None:
        """What came out; None where nothing is held out."""
        if self.dataset.held_out is None:
            return None
        split, firsts = self.dataset.split(self.dataset.held_out), list[str]()
        with self._observer.progress(f"errors, {name}", len(split), "images") as advance:
            errors = evaluate(
                [load(weights)],
                split,
                self.dataset.classes,
                workers=self._workers,
                progress=advance,
                on_damaged=DamagedImages(len(split), self._observer.say),
                on_probabilities=lambda probs: firsts.extend(weights.classes[best].name for best in probs.argmax(1)),
            )
        self._originals = self._originals or firsts
        same = [one == other for one, other in zip(firsts, self._originals, strict=True)]
        return Judged(errors, sum(same) / len(same))


def stage(name: str, size: int, judged: Judged | None) -> Stage:
    """A stage of `size` bytes, and what was measured there."""
    if judged is None:
        return Stage(name=name, bytes=size)
    top1_error, top5_error = judged.errors.top1_error, judged.errors.top5_error
    return Stage(name=name, bytes=size, top1_error=top1_error, top5_error=top5_error, agreement=judged.agreement)
