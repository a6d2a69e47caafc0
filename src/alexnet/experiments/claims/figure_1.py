"""ReLU learns faster than tanh (figure 1).

Claim: on CIFAR-10 a four-layer net of ReLUs reaches 25 % training error six times sooner than the same net of tanh
    units, with the rate of each chosen to train as fast as possible, and without any regularization (sec. 3.1).
Setting: cifar-relu against cifar-relu+tanh, recipe cifar-relu at a constant rate; by seed 0 from a rate of 0.002 on
    doubles and halves of the best one, until both are worse; that one by three seeds, until there or for 60 epochs of
    CIFAR-10; a rate is given up when it takes longer than the best before it. The paper says neither which net nor
    which rates.
Run: alexnet claims figure-1 --data cifar10
Report: epochs to 25 % running training error of both nets at their best rates for every seed, the ratio with its 95 %
    interval, and the two curves.
"""

from dataclasses import replace
from functools import partial

from alexnet.experiments.claims.claim import Claim
from alexnet.experiments.claims.race import Race, race
from alexnet.experiments.claims.settings import CIFAR

CLAIM = Claim(
    name="figure-1",
    statement="a net of ReLUs reaches 25 % training error sooner than one of tanh units",
    source="sec. 3.1, figure 1",
    published="6 times",
    settings=(replace(CIFAR, net="cifar-relu", recipe="cifar-relu+constant-rate", epochs=60),),
    rule=(
        "by its interval, but cannot tell where the best rate of the net that comes out slower is the lowest or the "
        "highest tried"
    ),
    run=partial(race, Race(slower="tanh", target=0.25, lr=0.002, published=6.0)),
)
