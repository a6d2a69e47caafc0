"""Local response normalization helps on CIFAR-10 too.

Claim: a four-layer net has 13 % test error without normalization and 11 % with it (sec. 3.3). Of cuda-convnet's files
    the pair conv-local-13pct and 11pct fits, but differs in more than norms.
Setting: cifar-18pct, whose norms are within a map, against its +no-lrn, same seeds, 30 epochs on CIFAR-10: nothing but
    the norms differs. Differs: another net, and far fewer epochs.
Run: alexnet claims lrn-cifar --data cifar10
Report: the difference of test errors in points, its 95 % interval over seeds.
"""

from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.settings import CIFAR

CLAIM = Claim(
    name="lrn-cifar",
    statement="normalization lowers the test error of a four-layer net on CIFAR-10",
    source="sec. 3.3",
    published="2 points (13 % without, 11 % with)",
    settings=(CIFAR,),
    run=partial(
        compare,
        Comparison(changes=(Change(name="without norms", ablation="no-lrn"),), published={"top-1": 2.0}),
    ),
)
