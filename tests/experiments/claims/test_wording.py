import pytest

from alexnet.experiments.claims.finding import Effect
from alexnet.experiments.claims.wording import describe_effect, setting_line

SETTING = {"data": "tiny", "split": "val", "images": 5000, "views": "center", "machine": {"processor": "EPYC"}}


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (
            Effect(what="without LRN: top-1", unit="points", value=1.312, low=0.4, high=2.2, detectable=1.27),
            "without LRN: top-1 +1.31 points (+0.40 to +2.20; 1.3 would be seen in 80 % of such trials)",
        ),
        (Effect(what="ratio", unit="times", value=5.5, low=4.0, high=7.0), "ratio 5.50 times (4.00 to 7.00)"),
        (Effect(what="ratio", unit="times", value=5.5), "ratio 5.50 times"),
    ],
)
def test_an_effect_in_words(effect, words):
    assert describe_effect(effect) == words


def test_a_setting_in_a_line():
    run = {"net": "n", "recipe": "r", "epochs": 1, "seeds": 3, "precision": "bf16", "limit_train_batches": None}
    setting = SETTING | run | {"machine": {"processor": "EPYC", "device": "cpu"}}
    assert setting_line(setting) == (
        "tiny val, 5,000 images, center view; n, recipe r, 1 epoch; 3 seeds, bf16 on cpu; EPYC"
    )
    assert "; only 2 steps an epoch; " in setting_line(setting | {"limit_train_batches": 2})
    assert setting_line(SETTING | {"weights": ["a", "b"]}) == "tiny val, 5,000 images, center view; weights a, b; EPYC"
