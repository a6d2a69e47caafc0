"""Two towers are better than one tower with half of the kernels.

Claim: the net on one GPU with half of the kernels in each convolutional layer errs 1.7 points more (top-1) and 1.2
    (top-5) (sec. 3.2). The author's net 145-half keeps conv5 and the dense layers whole, which favours it.
Setting: net 145 against 145+half, same seeds, 90 epochs on ILSVRC-2012 (the paper: ILSVRC-2010); 9 by
    its recipe on Tiny ImageNet.
Run: alexnet claims towers --data DATA
Report: the differences of held-out errors in points, their 95 % intervals over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import WHOLE_NETS

CLAIM = Claim(
    name="towers",
    statement="two towers have lower top-1 and top-5 errors than one with half of the kernels",
    source="sec. 3.2",
    published="1.7 / 1.2 points",
    author_log="1.70 / 1.23 points (net 145-half against 145, ten views, ILSVRC-2010)",
    settings=WHOLE_NETS,
    run=partial(
        compare,
        Comparison(changes=(Change(name="one tower", ablation="half"),), published={"top-1": 1.7, "top-5": 1.2}),
    ),
)
