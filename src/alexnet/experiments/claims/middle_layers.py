"""Every middle layer is needed.

Claim: without any one of the middle convolutional layers the top-1 error is about 2 points higher (sec. 7, sec. 1).
Setting: net 145 against 145+without-conv3, +without-conv4 and +without-conv5, same seeds, 90 epochs on ILSVRC-2012;
    9 by its recipe on Tiny ImageNet. How the others were joined is ours: the next layer takes over the removed one's
    groups.
Run: alexnet claims middle-layers --data DATA
Report: for each layer the differences of held-out errors in points, their 95 % intervals over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import WHOLE_NETS

CLAIM = Claim(
    name="middle-layers",
    statement="without any one of the middle convolutional layers top-1 error rises",
    source="sec. 7",
    published="about 2 points (top-1)",
    settings=WHOLE_NETS,
    run=partial(
        compare,
        Comparison(
            changes=tuple(
                Change(name=f"without {row}", ablation=f"without-{row}") for row in ("conv3", "conv4", "conv5")
            ),
            published={"top-1": 2.0, "top-5": None},
        ),
    ),
)
