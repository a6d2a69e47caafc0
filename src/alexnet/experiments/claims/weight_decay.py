"""Weight decay lowers the training error too.

Claim: the little weight decay is no mere regularizer, it lowers the net's training error (sec. 5). There is no number.
Setting: each recipe against its +no-decay, same seeds; net 145 for 90 epochs on ILSVRC-2012, 9 by its recipe on Tiny
    ImageNet; cifar-18pct, whose decay is larger, on CIFAR-10; `digits` in seconds.
Run: alexnet claims weight-decay --data DATA
Report: the difference of training errors, by the centre view of the trained net on at most 10,000 training images, and
    of held-out errors.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import CIFAR, DIGITS, WHOLE_NETS

CLAIM = Claim(
    name="weight-decay",
    statement="weight decay lowers the training error too",
    source="sec. 5",
    published="lower training error, no number",
    settings=(*WHOLE_NETS, CIFAR, DIGITS),
    run=partial(
        compare,
        Comparison(
            changes=(Change(name="without decay", variation="no-decay"),),
            published={"training top-1": None, "top-1": None},
        ),
    ),
)
