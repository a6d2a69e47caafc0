"""Images that are near by the last hidden layer are of a kind, though not near by their pixels (figure 4, right).

Claim: training images whose last hidden layer is nearest to a test image's show the same kind of thing, while they are
    not close to it in L2 of the pixels (sec. 6.1). There is no number.
Setting: given weights; the six nearest of at most 10,000 training images to each of at most 1,000 held-out ones, by the
    features of fc7 and by pixels (the central crop at 32 pixels, less its mean).
Run: alexnet claims figure-4-right --data DATA --weights WEIGHTS
Report: the share of neighbours of the image's own class, by features less by pixels, with its 95 % interval over the
    images; a picture of five held-out images and their neighbours.
"""

from functools import partial
from pathlib import Path

from alexnet.data.splits import Split
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.finding import Finding, covered
from alexnet.experiments.claims.looking import COVERS, image_effect, load_all
from alexnet.experiments.claims.retrieval import (
    NEIGHBOURS,
    Described,
    describe_both,
    hidden_layer,
    neighbours,
    precisions,
)
from alexnet.experiments.claims.settings import TRAINED
from alexnet.experiments.claims.wording import describe_effect, describe_weights
from alexnet.pictures import new_figure, save_figure

NUM_SHOWN = 5  # as in the paper


def run(study: Study) -> Finding:
    """Describe the images, find the neighbours, count those of the same class."""
    [classifier] = load_all(study)
    queries, gallery = describe_both(classifier, study)
    by_features, by_pixels = (precisions(queries, gallery, way) for way in ("features", "pixels"))
    layer = hidden_layer(classifier.weights.spec)
    effect = image_effect(f"neighbours of the same class, by {layer} less by pixels:", 100 * (by_features - by_pixels))
    return Finding(
        ours=f"{by_features.mean():.1%} by {layer}, {by_pixels.mean():.1%} by pixels; {describe_effect(effect)}",
        verdict=effect.verdict,
        setting=describe_weights(study, layer=layer, images=len(queries.labels), gallery=len(gallery.labels)),
        effects=(effect,),
        covers=covered((effect,), COVERS),
        details={"by_features": float(by_features.mean()), "by_pixels": float(by_pixels.mean())},
        shows_data=True,
        draw=partial(_draw, study.dataset.split(study.held_out), study.dataset.split("train"), queries, gallery),
    )


def _draw(held_out: Split, train: Split, queries: Described, gallery: Described, path: Path) -> None:
    """Five held-out images, evenly spread, each before its neighbours by features."""
    shown = list(range(0, len(queries.labels), max(1, len(queries.labels) // NUM_SHOWN)))[:NUM_SHOWN]
    near = neighbours(queries.vectors["features"][shown], gallery.vectors["features"])
    figure = new_figure(1.2 * (1 + NEIGHBOURS), 1.2 * len(shown))
    axes = figure.subplots(len(shown), 1 + NEIGHBOURS, squeeze=False)
    for row, query, places in zip(axes, shown, near, strict=True):
        found = [train.image(int(gallery.indices[place])) for place in places]
        for cell, picture in zip(row, [held_out.image(int(queries.indices[query])), *found], strict=False):
            cell.imshow(picture, interpolation="nearest")
        for cell in row:
            cell.axis("off")
    save_figure(figure, path)


CLAIM = Claim(
    name="figure-4-right",
    statement="images that are near by the last hidden layer are of a kind, more often than those near by pixels",
    source="sec. 6.1, figure 4 right",
    published="a picture, no number",
    settings=TRAINED,
    num_weights=(1, 1),
    run=run,
)
