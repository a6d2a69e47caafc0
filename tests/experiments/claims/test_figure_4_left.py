import json
from dataclasses import replace

import numpy as np

from alexnet.data.subset import choose
from alexnet.experiments.claims.figure_4_left import CLAIM, NUM_IMAGES


def test_eight_images_are_classified_and_drawn_always_the_same(open_on_digits, digits_runs, tmp_path):
    study = open_on_digits(CLAIM, weights=(digits_runs[0],))
    found, again = CLAIM.run(study), CLAIM.run(study)
    assert found.details == again.details
    assert len(set(found.details["paths"])) == NUM_IMAGES
    assert 0 <= found.details["first"] <= found.details["among_five"] <= NUM_IMAGES
    assert (found.verdict, found.setting["images"]) == (None, NUM_IMAGES)
    found.draw(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    json.dumps(dict(found.details))


def test_of_fewer_images_their_number_is_said(open_on_digits, digits_runs):
    study = open_on_digits(CLAIM, weights=(digits_runs[0],))
    six = choose(study.dataset.split("test"), np.arange(6))
    found = CLAIM.run(replace(study, dataset=replace(study.dataset, splits={"test": six})))
    assert found.ours.startswith("of 6 images ")
    assert found.covers.startswith("none: 6 images,")
