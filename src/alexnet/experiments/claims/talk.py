"""The towers do better if they meet in some layers.

Claim: the towers communicate in certain layers alone, so that this can be tuned (sec. 3.2). The paper has no number;
    the author's net 150, whose towers meet at fc8 only, errs 1.16 (top-1) and 1.12 points (top-5) more.
Setting: net 145 against 145+no-talk, same seeds, 90 epochs on ILSVRC-2012; 9 by its recipe on Tiny ImageNet.
Run: alexnet claims talk --data DATA
Report: the differences of held-out errors in points, their 95 % intervals over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import WHOLE_NETS

CLAIM = Claim(
    name="talk",
    statement="towers that meet in layers 3, 6 and 7 have lower errors than towers that never meet",
    source="sec. 3.2",
    published="no number",
    author_log="1.16 / 1.12 points (net 150 against 145)",
    settings=WHOLE_NETS,
    run=partial(
        compare,
        Comparison(
            changes=(Change(name="towers that never meet", ablation="no-talk"),),
            published={"top-1": None, "top-5": None},
        ),
    ),
)
