"""Looking at trained weights: what all claims need that train nothing."""

import numpy as np
from numpy.typing import NDArray

from alexnet.experiments.claims.answers import Wrong, wrong_answers
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.finding import Effect, in_points
from alexnet.experiments.claims.intervals import over_images
from alexnet.metrics import MIN_CLASSES_FOR_TOP5
from alexnet.predict import Classifier, load
from alexnet.preprocess import Views

COVERS = "paired over the images; the interval says nothing of other weights"


def load_all(study: Study) -> list[Classifier]:
    """The weights that were named, by torch.

    Raises:
        WeightsError: no such weights, or damaged ones.
    """
    return [load(name, "torch", device=study.asked.device) for name in study.asked.weights]


def held_out_answers(study: Study, classifiers: list[Classifier], views: Views = "center") -> Wrong:
    """The errors of the classifiers' mean on the held-out images."""
    dataset = study.dataset
    return wrong_answers(classifiers, dataset.split(study.held_out), dataset.classes, study, views=views)


def fewer_errors(
    what: str, before: Wrong, after: Wrong, study: Study, published: tuple[float | None, float | None]
) -> list[Effect]:
    """By how many points the errors `after` are below those `before`, top-1 and, from six classes on, top-5."""
    keys = ("top1", "top5") if len(study.dataset.classes) >= MIN_CLASSES_FOR_TOP5 else ("top1",)
    differences = [100 * (getattr(before, key) - getattr(after, key)) for key in keys]
    return [
        image_effect(f"{what}: top-{key[-1]}", difference, number)
        for key, difference, number in zip(keys, differences, published, strict=False)
    ]


def image_effect(what: str, differences: NDArray[np.float64], published: float | None = None) -> Effect:
    """The mean of differences in points, one an image (N,), with its interval over the images."""
    return in_points(what, float(differences.mean()), over_images([differences]), published)
