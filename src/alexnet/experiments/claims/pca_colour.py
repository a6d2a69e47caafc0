"""Colour noise along the principal components lowers the error.

Claim: it lowers the top-1 error by over 1 point (sec. 4.1).
Setting: each recipe against its +no-color, same seeds, crops and order, net 145 for 90 epochs on ILSVRC-2012, 9 by its
    recipe on Tiny ImageNet.
Run: alexnet claims pca-colour --data DATA
Report: the differences of held-out errors in points, their 95 % intervals over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import WHOLE_NETS

CLAIM = Claim(
    name="pca-colour",
    statement="colour noise along the principal components lowers top-1 error",
    source="sec. 4.1",
    published="over 1 point (top-1)",
    settings=WHOLE_NETS,
    run=partial(
        compare,
        Comparison(
            changes=(Change(name="without colour noise", variation="no-color"),),
            published={"top-1": 1.0, "top-5": None},
        ),
    ),
)
