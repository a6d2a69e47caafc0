import json

from alexnet.experiments.claims.figure_4_left import CLAIM, NUM_IMAGES


def test_eight_images_are_classified_and_drawn_always_the_same(open_on_digits, digits_runs, tmp_path):
    study = open_on_digits(CLAIM, weights=(digits_runs[0],))
    found, again = CLAIM.run(study), CLAIM.run(study)
    assert found.details == again.details
    assert len(set(found.details["paths"])) == NUM_IMAGES
    assert 0 <= found.details["first"] <= found.details["among_five"] <= NUM_IMAGES
    assert found.verdict is None
    found.draw(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    json.dumps(dict(found.details))
