import pytest

from alexnet.experiments.claims.finding import Effect
from alexnet.experiments.claims.wording import describe_effect, describe_training, setting_line

SETTING = {"data": "tiny", "split": "val", "images": 5000, "views": "center", "machine": {"processor": "EPYC"}}


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (
            Effect(what="without LRN: top-1", unit="points", value=1.312, low=0.4, high=2.2, detectable=1.27),
            "without LRN: top-1 +1.31 points (+0.40 to +2.20; 1.3 would be seen in 80 % of such trials)",
        ),
        (
            Effect(what="x", unit="points", value=1, low=-99, high=101, detectable=170),
            "x +1.00 points (-99.00 to +101.00; none would be seen in 80 % of such trials)",
        ),
        (Effect(what="ratio", unit="times", value=5.5, low=4.0, high=7.0), "ratio 5.50 times (4.00 to 7.00)"),
        (Effect(what="ratio", unit="times", value=5.5), "ratio 5.50 times"),
        (Effect(what="at least", unit="times", value=5.5, low=4.0), "at least 5.50 times (above 4.00)"),
        (Effect(what="fall", unit="points", value=-1.0, low=-2.0, high=0.0), "fall -1.00 points (-2.00 to +0.00)"),
    ],
)
def test_an_effect_in_words(effect, words):
    assert describe_effect(effect) == words


def test_a_setting_in_a_line():
    run = {"net": "n", "recipe": "r", "epochs": 1, "seeds": 3, "precision": "bf16", "limit_train_batches": None}
    setting = SETTING | run | {"machine": {"processor": "EPYC", "device": "cpu"}}
    assert setting_line(setting) == (
        "tiny val, 5,000 images, views: center; n, recipe r, 1 epoch; 3 seeds, bf16 on cpu; EPYC"
    )
    children = {"child_epochs": 5, "child_recipes": ["a", "b"]}
    assert "n, recipe r, 1 epoch of the parent; 5 of the children, by a and b; " in setting_line(setting | children)
    assert ", until 25% training error, 1 epoch at most; " in setting_line(setting | {"until_error": 0.25})
    assert "; only 2 steps an epoch; " in setting_line(setting | {"limit_train_batches": 2})
    assert ", views: center; neighbours among 300 of train; " in setting_line(setting | {"gallery": 300})
    assert (
        setting_line(SETTING | {"weights": ["a", "b"]}) == "tiny val, 5,000 images, views: center; weights a, b; EPYC"
    )


def test_what_looked_at_no_image_names_none():
    machine = {"processor": "EPYC", "device": "cpu"}
    assert setting_line({"data": "tiny", "weights": ["a"], "machine": machine}) == "weights a; EPYC"
    steps = {"net": "n", "recipe": "r", "steps": 10, "seeds": 1, "precision": "fp32"}
    line = setting_line({"data": "tiny", **steps, "machine": machine})
    assert line == "n, recipe r, the first 10 steps on tiny; 1 seed, fp32 on cpu; EPYC"


def test_runs_of_several_machines_name_them_all(stand_in, open_on_digits):
    facts = [
        {"recipe": "r", "batch_size": 8, "precision": "bf16", "machine": {"device": device, "processor": processor}}
        for device, processor in (("cpu", "EPYC"), ("cuda", "H100"), ("cpu", "EPYC"))
    ]
    found = describe_training(open_on_digits(stand_in), facts, net="digits")
    assert found["machine"] == {"device": "cpu and cuda", "processor": "EPYC and H100"}
    assert (found["recipe"], found["net"], found["seeds"]) == ("r", "digits", 2)
