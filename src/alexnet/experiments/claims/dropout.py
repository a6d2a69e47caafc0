"""Without dropout the net overfits.

Claim: without dropout in fc6 and fc7 the net overfits substantially (sec. 4.2). There is no number.
Setting: net 145 against 145+no-dropout, same seeds, 90 epochs on ILSVRC-2012; 9 by its recipe on Tiny ImageNet;
    `digits` in seconds. In a run of few epochs there is little to overfit, and dropout, which slows learning, may well
    lose.
Run: alexnet claims dropout --data DATA
Report: the gap between held-out and training top-1 error (both by the centre view of the trained net), how much it
    grows without dropout, and the held-out errors themselves.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import DIGITS, WHOLE_NETS

CLAIM = Claim(
    name="dropout",
    statement="without dropout the net overfits",
    source="sec. 4.2",
    published='"substantial overfitting", no number',
    settings=(*WHOLE_NETS, DIGITS),
    run=partial(
        compare,
        Comparison(
            changes=(Change(name="without dropout", ablation="no-dropout"),),
            published={"gap": None, "top-1": None, "top-5": None},
        ),
    ),
)
