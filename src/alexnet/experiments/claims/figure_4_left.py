"""Most of the five most probable labels are reasonable (figure 4, left).

Claim: of eight test images the five labels that the net finds most probable are shown; most of them are reasonable, and
    even objects off the centre are recognized (sec. 6.1). There is no number.
Setting: given weights on eight held-out images, or all where there are fewer, drawn by a fixed seed before anyone has
    looked; centre view.
Run: alexnet claims figure-4-left --data DATA --weights WEIGHTS
Report: the picture, to be judged by eye; how many of them have the true label first, and among the five.
"""

from functools import partial

import numpy as np

from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.looking import load_all
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_weights
from alexnet.pictures import draw_predictions
from alexnet.weights.classes import match_classes

NUM_IMAGES, TOP, SEED = 8, 5, 2012


def run(study: Study) -> Finding:
    """Classify the images that are drawn."""
    [classifier] = load_all(study)
    split = study.dataset.split(study.held_out)
    chosen = np.random.default_rng(SEED).permutation(len(split))[:NUM_IMAGES].tolist()
    images = [split.image(index) for index in chosen]
    ranked = classifier.predict_batch(images, top=TOP)
    index_of_label = match_classes(study.dataset.classes, classifier.classes)
    truths = [int(index_of_label[split.labels[index]]) for index in chosen]
    first = sum(answers[0].index == truth for answers, truth in zip(ranked, truths, strict=True))
    among = sum(truth in [answer.index for answer in answers] for answers, truth in zip(ranked, truths, strict=True))
    return Finding(
        ours=f"of {len(chosen)} images {first} have the true label first, {among} among the five",
        verdict=None,
        setting=describe_weights(study, images=len(chosen)),
        covers=f"none: {len(chosen)} images, to be looked at; so few could show no difference but a gross one",
        details={"paths": [split.paths[index] for index in chosen], "first": first, "among_five": among},
        shows_data=True,
        draw=partial(draw_predictions, images, ranked, [classifier.classes[truth].name for truth in truths]),
    )


CLAIM = Claim(
    name="figure-4-left",
    statement="most of the five most probable labels are reasonable",
    source="sec. 6.1, figure 4 left",
    published="a picture, no number",
    settings=TRAINED,
    num_weights=(1, 1),
    rule="no verdict: a picture, to be judged by eye",
    run=run,
)
