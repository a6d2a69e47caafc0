"""Ten views of an image are better than one.

Claim: averaging over five crops and their mirror images lowers the top-1 error from 39.0 to 37.5 % and the top-5 error
    from 18.3 to 17.0 (table 1, sec. 4.1).
Setting: given weights on the held-out images of their data, the central crop against the ten.
Run: alexnet claims ten-views --data DATA --weights WEIGHTS
Report: by how many points the errors fall, with 95 % intervals over the images, paired.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Finding, covered
from alexnet.experiments.claims.looking import COVERS, fewer_errors, held_out_answers, load_all
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_effects, describe_weights

PUBLISHED = (1.5, 1.3)


def run(study: Study) -> Finding:
    """Both protocols over the held-out images."""
    classifiers = load_all(study)
    one, ten = held_out_answers(study, classifiers), held_out_answers(study, classifiers, "ten")
    effects = tuple(fewer_errors("ten views instead of one", one, ten, study, PUBLISHED))
    return Finding(
        ours=describe_effects(effects),
        verdict=effects[0].verdict,
        setting=describe_weights(study) | {"views": "center and ten"},
        effects=effects,
        covers=covered(effects, COVERS),
        details={"center": float(one.top1.mean()), "ten": float(ten.top1.mean())},
        draw=partial(draw_effects, effects),
    )


CLAIM = Claim(
    name="ten-views",
    statement="ten views of an image have lower errors than its centre",
    source="sec. 4.1, table 1",
    published="1.5 / 1.3 points",
    author_log="1.55 / 1.30 points (net 145, ILSVRC-2010)",
    settings=TRAINED,
    num_weights=(1, 1),
    run=run,
)
