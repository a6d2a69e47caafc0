"""Several nets averaged are better than one.

Claim: five nets together err 38.1 and 16.4 % where one errs 40.7 and 18.2 (table 2).
Setting: given weights of the same classes that prepare images alike, on the held-out images, centre view: the mean of
    their probabilities against the mean of their errors. The paper: ten views.
Run: alexnet claims ensemble --data DATA --weights WEIGHTS --weights WEIGHTS
Report: by how many points the errors fall, with 95 % intervals over the images, paired.
"""

from functools import partial

import numpy as np

from alexnet.errors import InputError
from alexnet.experiments.claims.answers import Wrong
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.looking import COVERS, fewer_errors, held_out_answers, load_all
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_effects, describe_weights
from alexnet.predict import Classifier

PUBLISHED = (2.6, 1.8)  # of five nets
MOST_NETS = 100


def run(study: Study) -> Finding:
    """Each net by itself, then all together, over the held-out images."""
    classifiers = load_all(study)
    _check_alike(classifiers)
    alone = [held_out_answers(study, [classifier]) for classifier in classifiers]
    together = held_out_answers(study, classifiers)
    mean = Wrong(
        indices=together.indices,
        top1=np.mean([each.top1 for each in alone], axis=0),
        top5=np.mean([each.top5 for each in alone], axis=0),
    )
    effects = tuple(fewer_errors(f"{len(classifiers)} nets instead of one", mean, together, study, PUBLISHED))
    return Finding(
        ours=describe_effects(effects),
        verdict=effects[0].verdict,
        setting=describe_weights(study),
        effects=effects,
        covers=COVERS,
        details={
            "alone": [float(each.top1.mean()) for each in alone],
            "together": float(together.top1.mean()),
        },
        draw=partial(draw_effects, effects),
    )


def _check_alike(classifiers: list[Classifier]) -> None:
    first, *others = classifiers
    for other in others:
        if [info.name for info in other.classes] != [info.name for info in first.classes]:
            raise InputError("these weights know other classes, or in another order; give nets of one data set")
        ways = [
            (each.preprocessing.resize, each.preprocessing.crop, each.preprocessing.interpolation)
            for each in (first, other)
        ]
        if ways[0] != ways[1]:
            raise InputError("these weights want images of other sizes; give nets that prepare images alike")


CLAIM = Claim(
    name="ensemble",
    statement="several nets averaged have lower errors than each",
    source="sec. 6, table 2",
    published="2.6 / 1.8 points (five nets, validation images)",
    settings=TRAINED,
    num_weights=(2, MOST_NETS),
    run=run,
)
