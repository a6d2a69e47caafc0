"""Without random crops and mirrored images the net overfits.

Claim: without them the net overfits substantially, which would have forced the use of much smaller nets (sec. 4.1).
    There is no number.
Setting: each recipe against its +no-crops (the central crop, never mirrored), same seeds; net 145 for 90 epochs on
    ILSVRC-2012, 9 by its recipe on Tiny ImageNet; cifar-11pct, whose crops are of 24 pixels out of 32, on CIFAR-10.
Run: alexnet claims crops-flips --data DATA
Report: the gap between held-out and training top-1 error (both by the centre view of the trained net), how much it
    grows without crops and flips, and the held-out errors themselves.
"""

from dataclasses import replace
from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import CIFAR, WHOLE_NETS

CLAIM = Claim(
    name="crops-flips",
    statement="without random crops and mirrored images the net overfits",
    source="sec. 4.1",
    published='"substantial overfitting", no number',
    settings=(*WHOLE_NETS, replace(CIFAR, net="cifar-11pct")),
    run=partial(
        compare,
        Comparison(
            changes=(Change(name="without crops and flips", variation="no-crops"),),
            published={"gap": None, "top-1": None, "top-5": None},
        ),
    ),
)
