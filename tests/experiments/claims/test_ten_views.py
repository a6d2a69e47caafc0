import pytest

from alexnet.experiments.claims.ten_views import CLAIM
from alexnet.predict import load


def test_both_protocols_are_measured_on_the_same_images(open_on_digits, digits_runs, tmp_path):
    study = open_on_digits(CLAIM, weights=(digits_runs[0],))
    found = CLAIM.run(study)
    assert [effect.what for effect in found.effects] == [
        "ten views instead of one: top-1",
        "ten views instead of one: top-5",
    ]
    assert found.effects[0].value == pytest.approx(100 * (found.details["center"] - found.details["ten"]))
    assert found.effects[0].published == 1.5
    assert (found.setting["views"], found.setting["images"]) == ("center and ten", 359)
    classifier, split = load(digits_runs[0], "torch", device="cpu"), study.dataset.split("test")
    answers = classifier.predict_batch([split.image(index) for index in range(len(split))], top=1)
    right = sum(int(ranked[0].label) == label for ranked, label in zip(answers, split.labels, strict=True))
    assert found.details["center"] == pytest.approx(1 - right / 359)
    found.draw(tmp_path / "x.png")
    assert (tmp_path / "x.png").exists()
