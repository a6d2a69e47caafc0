import numpy as np
import pytest

from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims.answers import Wrong
from alexnet.experiments.claims.looking import fewer_errors, held_out_answers, image_effect, load_all


@pytest.fixture
def study(open_on_digits, digits_runs):
    return open_on_digits(CLAIMS["ensemble"], weights=tuple(digits_runs))


def wrong(*top1: float) -> Wrong:
    values = np.array(top1)
    return Wrong(indices=np.arange(len(top1)), top1=values, top5=values / 2)


def test_errors_that_fall_are_points_above_0(study):
    first, second = fewer_errors("x", wrong(1, 1, 0, 1), wrong(0, 1, 0, 0), study, (1.5, 1.3))
    assert (first.what, first.value, first.published) == ("x: top-1", pytest.approx(50), 1.5)
    assert (second.what, second.value, second.published) == ("x: top-5", pytest.approx(25), 1.3)


def test_an_effect_over_images_has_its_interval():
    effect = image_effect("x", np.array([100.0, 0, 0, 0] * 25), 20.0)
    assert effect.value == 25
    assert effect.low == pytest.approx(25 - 1.96 * effect.detectable / 2.8016, rel=1e-3)
    assert effect.verdict == "as published"


def test_all_weights_are_loaded_and_answer(study):
    classifiers = load_all(study)
    assert len(classifiers) == 2
    assert 0 < held_out_answers(study, classifiers).top1.mean() < 1
