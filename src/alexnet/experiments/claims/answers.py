"""Right or wrong, image by image: what paired comparisons are made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.damaged import DamagedImages
from alexnet.data.loader import eval_batches
from alexnet.data.npz import read_array
from alexnet.data.splits import ClassInfo, DataSet, Split
from alexnet.errors import DataError
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.training import LAST
from alexnet.metrics import topk_credit
from alexnet.predict import Classifier, load
from alexnet.preprocess import Preprocessing, Views
from alexnet.weights.classes import match_classes

TRAINING_IMAGES = 10_000  # ours: a training error of so many is sure to half a point
BATCH_SIZE = 128
_ANSWERS = "answers.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Wrong:
    """The errors of single images, float64 (N,), 0 or 1, or a share where answers are tied, as `topk_credit` has it.

    indices: their places in the split, int64 (N,).
    """

    indices: NDArray[np.int64]
    top1: NDArray[np.float64]
    top5: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The errors of a run's last weights, centre view: on the held-out split, and on training images seen as there."""

    held_out: Wrong
    train: Wrong


def answers_of(folder: Path, study: Study, dataset: DataSet | None = None) -> Answers:
    """The answers of a finished run, which are computed once and kept in its folder; `dataset` as in `trained`.

    A damaged file of them is said, and made again.
    """
    path = folder / _ANSWERS
    if path.is_file():
        try:
            return _read(path)
        except DataError as error:
            study.observer.say(f"{error}; the answers are computed again")
    answers = _measure(folder, study, dataset or study.dataset)
    _save(path, answers)
    return answers


def wrong_answers(
    classifiers: Sequence[Classifier],
    split: Split,
    classes: Sequence[ClassInfo],
    study: Study,
    *,
    views: Views = "center",
    indices: NDArray[np.int64] | None = None,
) -> Wrong:
    """The errors of the classifiers' mean probabilities on images of `split` (all, or those at `indices`).

    All classifiers prepare images alike and have the same classes in the same order.

    Raises:
        DataError: too many damaged images, or classes that the weights do not know.
    """
    first = classifiers[0]
    index_of_label = match_classes(classes, first.classes)
    found = []
    for canvases, labels, sound in watched_batches(split, first.preprocessing, study, f"{views} views", indices):
        probs = np.mean([each.probabilities(canvases, views) for each in classifiers], axis=0)
        truths = index_of_label[labels]
        found.append((sound, *(1 - topk_credit(probs, truths, k) for k in (1, 5))))
    places, top1, top5 = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Wrong(indices=places, top1=top1, top5=top5)


def watched_batches(
    split: Split, preprocessing: Preprocessing, study: Study, what: str, indices: NDArray[np.int64] | None = None
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]]:
    """`eval_batches` of `split` (all, or the images at `indices`), told to the study's observer as `what`.

    Raises:
        DataError: too many damaged images.
    """
    batches = eval_batches(
        split,
        batch_size=BATCH_SIZE,
        preprocessing=preprocessing,
        workers=study.asked.workers,
        indices=indices,
        on_damaged=DamagedImages(len(split), study.observer.say),
    )
    with study.observer.progress(what, len(split if indices is None else indices), "images") as advance:
        for batch in batches:
            yield batch
            advance(len(batch[-1]))


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` places, int64, evenly spread over them."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def _measure(folder: Path, study: Study, dataset: DataSet) -> Answers:
    classifier = load(folder / LAST, "torch", device=study.asked.device)
    train = dataset.split("train")
    chosen = evenly(len(train), TRAINING_IMAGES)
    return Answers(
        held_out=wrong_answers([classifier], dataset.split(study.held_out), dataset.classes, study),
        train=wrong_answers([classifier], train, dataset.classes, study, indices=chosen),
    )


def _read(path: Path) -> Answers:
    held_out, train = (_read_part(path, part) for part in ("held_out", "train"))
    return Answers(held_out=held_out, train=train)


def _read_part(path: Path, part: str) -> Wrong:
    indices = read_array(path, f"{part}.indices", np.int64, (None,))
    top1, top5 = (read_array(path, f"{part}.{key}", np.float64, (len(indices),)) for key in ("top1", "top5"))
    return Wrong(indices=indices, top1=top1, top5=top5)


def _save(path: Path, answers: Answers) -> None:
    arrays = {
        f"{part}.{key}": values
        for part, wrong in (("held_out", answers.held_out), ("train", answers.train))
        for key, values in vars(wrong).items()
    }
    with write_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
