"""Two ways to train side by side, seed by seed: what is lost without one of the paper's ideas.

Runs of one seed see the same images in the same order, cropped and mirrored alike, so that their difference is less
noisy than either. Every difference is changed minus as published: the claims say that it is above 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alexnet.experiments.claims.answers import Answers, answers_of
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Effect, Finding, covered, in_points, joint_verdict
from alexnet.experiments.claims.intervals import over_images, over_seeds
from alexnet.experiments.claims.training import Run, facts_of, trained
from alexnet.experiments.claims.wording import describe_effects, describe_training
from alexnet.recipes import default_recipe

Measure = Literal["top-1", "top-5", "training top-1", "gap"]
Part = tuple[int, Literal["held_out", "train"], Literal["top1", "top5"]]

# Sums of errors, each with its sign. The gap between held-out and training images is what overfitting means here.
MEASURES: Mapping[Measure, tuple[Part, ...]] = {
    "top-1": ((1, "held_out", "top1"),),
    "top-5": ((1, "held_out", "top5"),),
    "training top-1": ((1, "train", "top1"),),
    "gap": ((1, "held_out", "top1"), (-1, "train", "top1")),
}
OF_IMAGES = (
    "one seed: the interval is over the images alone and says nothing of other seeds, so that it decides nothing"
)


def of_seeds(count: int) -> str:
    """What an interval of so many seeds covers."""
    return f"{count} seeds, paired, all on the same images: nothing of other images" if count > 1 else OF_IMAGES


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done otherwise: an ablation of the net, a variation of the recipe."""

    name: str
    ablation: str = ""
    variation: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The changes, each against the net and recipe as published. published: measure to points, None where the paper
    has words alone; the verdict goes by the first measure.
    """

    changes: tuple[Change, ...]
    published: Mapping[Measure, float | None]


def compare(comparison: Comparison, study: Study) -> Finding:
    """Train what is not trained yet, and compare.

    Raises:
        InputError: an ablation or a variation that the net or recipe does not have; and what `trained` raises.
    """
    setting, changes = study.setting, (Change(name="as published"), *comparison.changes)
    folders = [[trained(_run(change, study, seed), study) for change in changes] for seed in range(setting.seeds)]
    answers = [[answers_of(folder, study) for folder in row] for row in folders]
    baseline, *changed = [list(column) for column in zip(*answers, strict=True)]
    effects = tuple(
        measure_effect(f"{change.name}: {measure}", measure, published, baseline, others)
        for change, others in zip(comparison.changes, changed, strict=True)
        for measure, published in comparison.published.items()
    )
    headline = tuple(effects[:: len(comparison.published)])
    names = [change.name for change in changes]
    return Finding(
        ours=describe_effects(effects),
        verdict=joint_verdict(headline),
        setting=describe_training(study, _facts(folders), net=setting.net, changed=names[1:]),
        effects=effects,
        covers=covered(effects, of_seeds(setting.seeds)),
        details={"errors": dict(zip(names, map(errors_of, (baseline, *changed)), strict=True))},
        draw=partial(draw_effects, effects),
    )


def _facts(folders: Sequence[Sequence[Path]]) -> list[dict[str, Any]]:
    """Of all runs, those as published first: the recipe that is told is theirs."""
    return [facts_of(folder) for column in zip(*folders, strict=True) for folder in column]


def _run(change: Change, study: Study, seed: int) -> Run:
    setting = study.setting
    net = "+".join(filter(None, (setting.net, change.ablation)))
    recipe = setting.recipe
    if change.variation:
        recipe = f"{recipe or default_recipe(net).name}+{change.variation}"
    return Run(net=net, recipe=recipe, epochs=setting.epochs, seed=seed)


def value_of(answers: Answers, measure: Measure) -> float:
    """A measure of one run, as a fraction."""
    return sum(sign * float(_part(answers, split, key).mean()) for sign, split, key in MEASURES[measure])


def measure_effect(
    what: str, measure: Measure, published: float | None, baseline: Sequence[Answers], changed: Sequence[Answers]
) -> Effect:
    """By how many points a measure of `changed` is above that of `baseline`, seed by seed, or image by image of one."""
    points = [
        100 * (value_of(other, measure) - value_of(base, measure))
        for base, other in zip(baseline, changed, strict=True)
    ]
    if len(points) > 1:
        return in_points(what, fmean(points), over_seeds(points), published)
    [base], [other] = baseline, changed
    by_image = [
        100 * sign * (_part(other, split, key) - _part(base, split, key)) for sign, split, key in MEASURES[measure]
    ]
    return in_points(what, points[0], over_images(by_image), published, of_one_seed=True)


def _part(answers: Answers, split: Literal["held_out", "train"], key: Literal["top1", "top5"]) -> NDArray[np.float64]:
    wrong: NDArray[np.float64] = getattr(getattr(answers, split), key)
    return wrong


def errors_of(answers: Sequence[Answers]) -> list[dict[str, float]]:
    """The measures of every seed, as fractions."""
    return [{measure: value_of(each, measure) for measure in MEASURES} for each in answers]
