"""The first layer learns kernels of many orientations, and coloured blobs (figure 3).

Claim: the net has learned a variety of frequency- and orientation-selective kernels, and various coloured blobs
    (sec. 6.1). There is no number.
Setting: given weights. A kernel counts as oriented, or as coloured, where its coherence, or its share of energy off
    grey, is above what 999 of 1,000 random kernels of that size reach; as grey where the share is below what 999 are
    above; these rules are ours and older than any result. How many make a variety nobody has said: there is no verdict.
Run: alexnet claims figure-3 --data DATA --weights WEIGHTS
Report: the picture of the kernels; how many are oriented, coloured, grey.
"""

from functools import partial

import numpy as np

from alexnet.errors import InputError
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.kernels import Kernels, chroma_shares, coherences
from alexnet.experiments.claims.machine import describe_machine
from alexnet.experiments.claims.settings import TRAINED_IN_COLOUR
from alexnet.pictures import draw_kernels
from alexnet.weights import find_weights
from alexnet.weights.classes import match_classes

QUANTILE = 0.999
NUM_RANDOM, SEED = 20_000, 2012


def run(study: Study) -> Finding:
    """Count the kernels of each kind.

    Raises:
        DataError: the data, whose images are in colour, are not what the weights were trained on.
    """
    [weights] = study.asked.weights
    match_classes(study.dataset.classes, find_weights(weights).classes)
    kernels = first_kernels(weights)
    counts = count_kinds(kernels)
    oriented, coloured, grey = counts.values()
    return Finding(
        ours=f"of {len(kernels)} kernels {oriented} oriented; {coloured} coloured, {grey} grey",
        verdict=None,
        setting={
            "data": study.dataset.name,
            "weights": list(study.asked.weights),
            "machine": describe_machine("cpu"),
        },
        covers="these weights alone, no interval; of each kind one random kernel in 1,000 would be counted",
        details={"kernels": len(kernels), **counts},
        draw=partial(draw_kernels, kernels),
    )


def first_kernels(weights: str) -> Kernels:
    """conv1's kernels (K, 3, k, k), RGB.

    Raises:
        InputError: the first row is no convolution of colours.
    """
    found = find_weights(weights)
    kernels = found.tensors.get("conv1.weight")
    if kernels is None or kernels.ndim != 4 or kernels.shape[1] != 3:
        raise InputError(f"{weights} has no conv1 that sees three colours; give weights of another net")
    return kernels if found.preprocessing.channel_order == "RGB" else np.ascontiguousarray(kernels[:, ::-1])


def count_kinds(kernels: Kernels) -> dict[str, int]:
    """How many kernels are oriented, coloured and grey beyond chance."""
    random = np.random.default_rng(SEED).standard_normal((NUM_RANDOM, *kernels.shape[1:]), np.float32)
    shares, of_random = chroma_shares(kernels), chroma_shares(random)
    return {
        "oriented": int((coherences(kernels) > np.quantile(coherences(random), QUANTILE)).sum()),
        "coloured": int((shares > np.quantile(of_random, QUANTILE)).sum()),
        "grey": int((shares < np.quantile(of_random, 1 - QUANTILE)).sum()),
    }


CLAIM = Claim(
    name="figure-3",
    statement="the first layer learns kernels of many orientations, and coloured blobs",
    source="sec. 6.1, figure 3",
    published="a picture, no number",
    settings=TRAINED_IN_COLOUR,
    num_weights=(1, 1),
    rule="no verdict: a picture and counts, and no number that was published",
    run=run,
)
