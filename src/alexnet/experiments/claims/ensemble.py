"""Several nets averaged are better than one.

Claim: five nets together err 38.1 and 16.4 % where one errs 40.7 and 18.2 (table 2).
Setting: given weights of the same classes that prepare images alike, on the held-out images, centre view: the errors of
    their mean probabilities against those of the best of them, which is chosen on the same images and so flattered; and
    against the mean of their errors, as the paper's numbers are meant. The paper: ten views.
Run: alexnet claims ensemble --data DATA --weights WEIGHTS --weights WEIGHTS
Report: by how many points the errors fall, with 95 % intervals over the images, paired.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import InputError
from alexnet.experiments.claims.answers import Wrong
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Finding, covered
from alexnet.experiments.claims.looking import COVERS, fewer_errors, held_out_answers, load_all
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_effects, describe_weights
from alexnet.predict import Classifier
from alexnet.weights.digest import weights_digest

PUBLISHED = (2.6, 1.8)  # of five nets
MOST_NETS = 100

Values = NDArray[np.float64]


def run(study: Study) -> Finding:
    """Each net by itself, then all together, over the held-out images."""
    classifiers = load_all(study)
    _check_alike(classifiers)
    alone = [held_out_answers(study, [classifier]) for classifier in classifiers]
    together = held_out_answers(study, classifiers)
    what = f"{len(classifiers)} nets instead of"
    effects = (
        *fewer_errors(f"{what} the best of them", _of_each(_best, alone), together, study, (None, None)),
        *fewer_errors(f"{what} one", _of_each(_mean, alone), together, study, PUBLISHED),
    )
    return Finding(
        ours=describe_effects(effects),
        verdict=effects[0].verdict,
        setting=describe_weights(study),
        effects=effects,
        covers=covered(effects, COVERS),
        details={
            "alone": [float(each.top1.mean()) for each in alone],
            "together": float(together.top1.mean()),
        },
        draw=partial(draw_effects, effects),
    )


def _of_each(choose: Callable[[list[Values]], Values], alone: list[Wrong]) -> Wrong:
    """Made of the errors of all, for top-1 and for top-5."""
    return Wrong(
        indices=alone[0].indices,
        top1=choose([each.top1 for each in alone]),
        top5=choose([each.top5 for each in alone]),
    )


def _best(errors: list[Values]) -> Values:
    return min(errors, key=lambda values: float(values.mean()))


def _mean(errors: list[Values]) -> Values:
    mean: Values = np.mean(errors, axis=0)
    return mean


def _check_alike(classifiers: list[Classifier]) -> None:
    first, *others = classifiers
    if len({weights_digest(classifier.weights) for classifier in classifiers}) < len(classifiers):
        raise InputError("two of these weights are the same; give nets that were trained apart")
    for other in others:
        if [info.name for info in other.classes] != [info.name for info in first.classes]:
            raise InputError("these weights know other classes, or in another order; give nets of one data set")
        ways = [
            (way.resize, way.crop, way.interpolation, way.reduce_to)
            for way in (first.preprocessing, other.preprocessing)
        ]
        if ways[0] != ways[1]:
            raise InputError("these weights want images of other sizes; give nets that prepare images alike")


CLAIM = Claim(
    name="ensemble",
    statement="several nets averaged have lower errors than the best of them",
    source="sec. 6, table 2",
    published="2.6 / 1.8 points (five nets, validation images)",
    settings=TRAINED,
    num_weights=(2, MOST_NETS),
    run=run,
)
