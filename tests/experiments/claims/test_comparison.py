import json
from dataclasses import replace

import pytest

from alexnet.errors import SpecError
from alexnet.experiments.claims.comparison import OF_IMAGES, Change, Comparison, compare, measure_effect, value_of
from alexnet.experiments.claims.machine import precision_of

COMPARISON = Comparison(
    changes=(Change(name="without LRN", ablation="no-lrn"), Change(name="without decay", variation="no-decay")),
    published={"top-1": 1.4, "gap": None},
)


def test_two_changes_over_two_seeds(stand_in, open_on_digits):
    study = open_on_digits(stand_in)
    found = compare(COMPARISON, study)
    assert [effect.what for effect in found.effects] == [
        "without LRN: top-1",
        "without LRN: gap",
        "without decay: top-1",
        "without decay: gap",
    ]
    runs = {path.name for path in (study.asked.runs / "digits").iterdir()}
    assert runs == {
        f"{name}_2-epochs_2-steps_{precision_of('cpu')}_seed-{seed}"
        for name in ("digits", "digits+no-lrn", "digits_by-digits+no-decay")
        for seed in (0, 1)
    }
    errors = found.details["errors"]
    assert list(errors) == ["as published", "without LRN", "without decay"]
    differences = [
        100 * (other["top-1"] - base["top-1"])
        for base, other in zip(errors["as published"], errors["without LRN"], strict=True)
    ]
    assert found.effects[0].value == pytest.approx(sum(differences) / 2)
    assert found.covers == "2 seeds, paired, all on the same images: nothing of other images"
    assert found.setting["recipe"] == "digits"
    json.dumps([dict(found.setting), dict(found.details)])


def test_one_seed_has_an_interval_over_images_and_says_so(stand_in, open_on_digits):
    found = compare(replace(COMPARISON, changes=COMPARISON.changes[:1]), open_on_digits(stand_in, seeds=1))
    assert found.covers == OF_IMAGES
    assert "nothing of other seeds" in found.covers
    assert found.effects[0].low < found.effects[0].value < found.effects[0].high
    assert found.effects[0].of_one_seed


def test_an_ablation_that_the_net_does_not_have_is_refused(stand_in, open_on_digits):
    wrong = Comparison(changes=(Change(name="x", ablation="no-overlap"),), published={"top-1": 1.0})
    with pytest.raises(SpecError, match="two-tower nets"):
        compare(wrong, open_on_digits(stand_in))


def test_measures_are_sums_of_errors(answers_with):
    answers = answers_with(30, top5=12, train=5)
    values = {measure: value_of(answers, measure) for measure in ("top-1", "top-5", "training top-1", "gap")}
    assert values == pytest.approx({"top-1": 0.3, "top-5": 0.12, "training top-1": 0.05, "gap": 0.25})


def test_a_change_that_costs_about_three_points_is_as_published(answers_with):
    baseline = [answers_with(top1) for top1 in (20, 30, 25)]
    changed = [answers_with(top1) for top1 in (23, 33, 29)]
    effect = measure_effect("x", "top-1", 1.4, baseline, changed)
    assert effect.value == pytest.approx(10 / 3)
    assert effect.verdict == "as published"
    assert measure_effect("x", "top-1", 1.4, changed, baseline).verdict == "opposite"


def test_pairing_by_image_narrows_the_interval_of_one_seed(answers_with):
    """The ten images more are wrong in a net that is wrong on all the others too: 10 of 100 differ, not 50."""
    effect = measure_effect("x", "top-1", None, [answers_with(40)], [answers_with(50)])
    assert effect.value == pytest.approx(10)
    assert effect.high - effect.low == pytest.approx(2 * 1.96 * 100 * (0.09 / 99) ** 0.5, rel=1e-3)


def test_the_gap_counts_both_kinds_of_images(answers_with):
    effect = measure_effect("x", "gap", None, [answers_with(40, train=20)], [answers_with(45, train=10)])
    assert effect.value == pytest.approx(15)
