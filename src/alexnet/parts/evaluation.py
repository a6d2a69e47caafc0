"""Errors of a classifier in parts: a small JSON file for each, with what its images come to."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from alexnet.atomic import write_whole
from alexnet.data.collection import Collection
from alexnet.data.damaged import OnDamaged
from alexnet.engines import Precision
from alexnet.errors import DataError, ImageError
from alexnet.evaluate import Evaluation, Sums, measurer
from alexnet.parts.job import IMAGES_PER_PART, Job, Outcome, Part, Process, check_damage, work
from alexnet.predict import Classifier
from alexnet.preprocess import Views
from alexnet.weights.digest import weights_digest


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a part holds: sums over its images, and what is wrong with those that were left out."""

    sums: Sums
    errors: tuple[tuple[str, str], ...]

    @property
    def images(self) -> int:
        """How many images were measured."""
        return int(self.sums.images)


def evaluate_parts(
    classifiers: Sequence[Classifier],
    collection: Collection,
    folder: Path,
    process: Process,
    *,
    images_per_part: int = IMAGES_PER_PART,
    precision: Precision = "auto",
    views: Views = "center",
    batch_size: int = 128,
    workers: int = 2,
    progress: Callable[[int], object] = lambda _: None,
    on_damaged: OnDamaged = lambda _: None,
) -> Outcome[Measured]:
    """Measure this process's parts of a collection of one split; see `evaluate` and `Job`.

    `on_damaged` is called with the error of every image that is left out, once for each canvas that is drawn of it.

    Raises:
        DataError: no images, a part of which most are damaged, or classes that the weights do not know.
        WeightsError: the classifiers do not know the same classes.
        RunError: probabilities that are not numbers.
        InputError: the folder holds something else, or parts of another job.
        OSError: the folder cannot be written, or the disk is full.
    """
    damaged = dict[str, ImageError]()  # by what is said: nets that see images differently open them twice

    def leave_out(error: ImageError) -> None:
        damaged[str(error)] = error
        on_damaged(error)

    measure = measurer(
        classifiers,
        collection.images,
        collection.classes,
        views=views,
        batch_size=batch_size,
        workers=workers,
        progress=progress,
        on_damaged=leave_out,
    )

    def make(part: Part) -> None:
        damaged.clear()
        sums = measure(part.indices)
        check_damage(part, [(line, error) for line, error in damaged.items()])
        with write_whole(part.path) as whole:
            whole.write_text(json.dumps({**sums._asdict(), "errors": list(damaged)}, indent=2) + "\n", "utf-8")

    job = Job(
        folder=folder,
        suffix=".json",
        facts={
            "job": "evaluation",
            "views": views,
            "nets": [each.weights.spec.name for each in classifiers],
            "weights": [weights_digest(each.weights) for each in classifiers],
            "engine": classifiers[0].engine.name,
            "precision": precision,
            "data": collection.digest(),
            "format": "json",
        },
        num_images=len(collection.images),
        images_per_part=images_per_part,
    )
    return work(job, process, make, read_measured, progress)


def read_measured(path: Path) -> Measured:
    """What the file of a part holds.

    Raises:
        DataError: no such file, or a damaged one.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        sums = Sums(**{name: float(stored[name]) for name in Sums._fields})
        if not all(map(isfinite, sums)):
            raise ValueError("sums that are no numbers")
        return Measured(sums=sums, errors=tuple((str(line), str(line)) for line in stored["errors"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: damaged, or no part of an evaluation ({error})") from None


def total(outcome: Outcome[Measured], num_classes: int, views: Views) -> Evaluation | None:
    """The errors over the parts of all processes, with the rate of this one; None until all of them are there.

    Raises:
        DataError: they are of no images.
    """
    if not (parts := outcome.read_all()):
        return None
    sums = Sums(*(sum(values) for values in zip(*(part.sums for part in parts), strict=True)))
    if not sums.images:
        raise DataError(f"all of {outcome.job.num_images} images are damaged; are the data still there?")
    return sums.evaluation(num_classes, views, outcome.images_per_second)
