"""Short binary codes of the last hidden layer find images better than codes of the pixels.

Claim: distances of 4096 features are slow, but an auto-encoder could compress them to short binary codes, which should
    find images much better than codes of raw pixels, which know nothing of labels (sec. 6.1). It was not tried.
Setting: given weights; the six nearest of at most 10,000 training images to each of at most 1,000 held-out ones.
    Differs: no auto-encoder; the code says which of fc7's units are on, a bit each, and that of pixels which of the
    32 x 32 x 3 are above their mean.
Run: alexnet claims codes --data DATA --weights WEIGHTS
Report: the share of neighbours of the image's own class by features, codes, pixels and codes of pixels; the difference
    of the two codes with its 95 % interval over the images.
"""

from collections.abc import Mapping
from functools import partial

from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Finding, covered
from alexnet.experiments.claims.looking import COVERS, image_effect, load_all
from alexnet.experiments.claims.retrieval import Vectors, describe_both, hidden_layer, precisions
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_effects, describe_weights

COMPARED = (("codes", "pixel codes"), ("features", "pixels"), ("codes", "features"))


def run(study: Study) -> Finding:
    """Describe the images, find the neighbours in each way, count those of the same class."""
    [classifier] = load_all(study)
    queries, gallery = describe_both(classifier, study)
    found = {way: precisions(queries, gallery, way) for way in queries.vectors}
    effects = tuple(
        image_effect(f"by {better} less by {worse}:", 100 * (found[better] - found[worse]))
        for better, worse in COMPARED
    )
    shares = {way: float(found[way].mean()) for way in found}
    words = ", ".join(f"{share:.1%} by {way}" for way, share in shares.items())
    return Finding(
        ours=f"neighbours of the same class: {words}; {describe_effects(effects[:1])}",
        verdict=effects[0].verdict,
        setting=describe_weights(
            study,
            layer=hidden_layer(classifier.weights.spec),
            bits=_bits(queries.vectors),
            images=len(queries.labels),
            gallery=len(gallery.labels),
        ),
        effects=effects,
        covers=covered(effects, COVERS),
        details=shares,
        draw=partial(draw_effects, effects),
    )


def _bits(vectors: Mapping[str, Vectors]) -> dict[str, int]:
    return {way: vectors[way].shape[1] for way in ("codes", "pixel codes")}


CLAIM = Claim(
    name="codes",
    statement="binary codes of the last hidden layer find images better than codes of the pixels",
    source="sec. 6.1",
    published="a proposal, no number",
    settings=TRAINED,
    num_weights=(1, 1),
    rule=(
        "by the interval of the first measure, and of these weights alone; `as published` means as proposed, since the "
        "paper tried no code, and ours is not an auto-encoder's"
    ),
    run=run,
)
