"""The claims of Krizhevsky et al. 2012, each a command: published, the author's own log, ours.

One file a claim, whose docstring says what is claimed, in which setting it is tried and what is reported. The rest is
what claims share:

claim, finding, settings, study   what a claim is, and a trial of it on one data set
comparison, race, looking         the kinds of trials: two ways to train, who is sooner, weights that are there
training, answers, machine        runs that are kept and shared; right or wrong, image by image; what computed it
intervals, kernels, population, retrieval   the measures
wording, drawing, report, page    results in words, in pictures, on the disk, on one page
"""

from alexnet.errors import UnknownNameError
from alexnet.experiments.claims import (
    codes,
    crops_flips,
    dropout,
    ensemble,
    every_run,
    figure_1,
    figure_3,
    figure_4_left,
    figure_4_right,
    lrn,
    lrn_cifar,
    middle_layers,
    overlap,
    pca_colour,
    stall,
    talk,
    ten_views,
    towers,
    transfer,
    weight_decay,
)
from alexnet.experiments.claims.claim import Claim

# In the order of the paper.
CLAIMS: dict[str, Claim] = {
    module.CLAIM.name: module.CLAIM
    for module in (
        figure_1, towers, talk, lrn, lrn_cifar, overlap,
        crops_flips, ten_views, pca_colour, dropout, weight_decay, stall,
        ensemble, transfer, figure_3, every_run, figure_4_left, figure_4_right, codes, middle_layers,
    )
}  # fmt: skip


def find_claim(name: str) -> Claim:
    """The named claim.

    Raises:
        UnknownNameError: no such claim; the message offers the nearest names.
    """
    if name not in CLAIMS:
        raise UnknownNameError("claim", name, CLAIMS)
    return CLAIMS[name]
