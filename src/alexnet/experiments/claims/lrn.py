"""Local response normalization lowers the errors.

Claim: without it the top-1 error is 1.4 points higher and the top-5 error 1.2 (sec. 3.3); the author's net 148, which
    has no normalization of any kind, 1.37 and 1.15.
Setting: net 145 against 145+no-lrn, same seeds, 90 epochs on ILSVRC-2012; 9 by its recipe on Tiny ImageNet; `digits`
    in seconds.
Run: alexnet claims lrn --data DATA
Report: the differences of held-out errors in points, their 95 % intervals over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import DIGITS, WHOLE_NETS

CLAIM = Claim(
    name="lrn",
    statement="local response normalization lowers top-1 and top-5 error",
    source="sec. 3.3",
    published="1.4 / 1.2 points",
    author_log="1.37 / 1.15 points (net 148 against 145)",
    settings=(*WHOLE_NETS, DIGITS),
    run=partial(
        compare,
        Comparison(changes=(Change(name="without LRN", ablation="no-lrn"),), published={"top-1": 1.4, "top-5": 1.2}),
    ),
)
