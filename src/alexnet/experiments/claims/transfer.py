"""A net trained on other classes first, then fine-tuned, errs less.

Claim: one net trained on the Fall 2011 release, then fine-tuned on ILSVRC-2012, errs 39.0 / 16.6 % where the one
    trained on ILSVRC-2012 alone errs 40.7 / 18.2 (table 2). The author's log: 38.99 / 16.62 against 40.66 / 18.21, with
    a sixth convolution in the pre-trained one.
Setting: a tenth of the classes, the first in the order of a hash of their names, are held back; a parent is trained on
    the others (one run); then 20 training images a class of those held back, drawn by the seed: fine-tuned from the
    parent by the net's own recipe's +fine-tune+new-classifier, against trained from scratch by that recipe itself, 100
    epochs in batches of 32 each, same seeds. Differs: the paper's child had plenty of images; with so few the gain
    should be far larger.
Run: alexnet claims transfer --data DATA
    --epochs are the parent's alone: the children keep theirs.
Report: the differences of held-out errors on the child's classes in points, with 95 % intervals over seeds, which draw
    the 20 images too. The spread over parents is not covered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

from alexnet.data.splits import DataSet
from alexnet.data.subset import hash_order, subset
from alexnet.errors import InputError
from alexnet.experiments.claims.answers import Answers, answers_of
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.comparison import Measure, errors_of, measure_effect, of_seeds
from alexnet.experiments.claims.drawing import draw_effects
from alexnet.experiments.claims.finding import Finding, covered
from alexnet.experiments.claims.settings import WHOLE_NETS, Fits
from alexnet.experiments.claims.training import LAST, Run, facts_of, trained
from alexnet.experiments.claims.wording import describe_effects, describe_training
from alexnet.metrics import MIN_CLASSES_FOR_TOP5
from alexnet.recipes import default_recipe

# Ours.
CHILD_SHARE, IMAGES_PER_CLASS, CHILD_EPOCHS, CHILD_BATCH_SIZE = 0.1, 20, 100, 32
PUBLISHED: Mapping[Measure, float] = {"top-1": 1.7, "top-5": 1.6}


def run(study: Study) -> Finding:
    """The parent, then both kinds of children for every seed."""
    held_back, others = split_classes(study.dataset)
    parent_data = subset(study.dataset, others)
    setting = study.setting
    parent = trained(Run(net=setting.net, recipe=setting.recipe, epochs=setting.epochs, seed=0), study, parent_data)
    pairs = [_children(study, held_back, parent / LAST, seed) for seed in range(setting.seeds)]
    fine_tuned, scratch = zip(*(pair.answers for pair in pairs), strict=True)
    effects = tuple(
        measure_effect(f"from scratch, not fine-tuned: {measure}", measure, points, fine_tuned, scratch)
        for measure, points in PUBLISHED.items()
    )
    child_data = subset(study.dataset, held_back)
    facts = [facts_of(folder) for folder in (parent, *(folder for pair in pairs for folder in pair.folders))]
    described = describe_training(study, facts, net=setting.net) | {
        "data": f"{study.dataset.name}, {len(held_back)} classes with {IMAGES_PER_CLASS} training images each",
        "images": len(child_data.split(study.held_out)),
        "child_epochs": CHILD_EPOCHS,
        "child_batch_size": CHILD_BATCH_SIZE,
        "child_recipes": [facts[1]["recipe"], facts[2]["recipe"]],
    }
    errors = {"fine-tuned": errors_of(fine_tuned), "from scratch": errors_of(scratch)}
    words = ", ".join(f"{fmean(each['top-1'] for each in found):.1%} {kind}" for kind, found in errors.items())
    return Finding(
        ours=f"top-1 {words}; {describe_effects(effects)}",
        verdict=effects[0].verdict,
        setting=described,
        effects=effects,
        covers=covered(effects, f"{of_seeds(len(pairs))}; one parent"),
        details={
            "classes_held_back": [study.dataset.classes[index].name for index in held_back],
            "errors": errors,
        },
        draw=partial(draw_effects, effects),
    )


def split_classes(dataset: DataSet) -> tuple[list[int], list[int]]:
    """(the child's classes, the parent's), both in the order of the data.

    Raises:
        InputError: so few classes that a tenth of them have no top-5 error.
    """
    count = int(CHILD_SHARE * len(dataset.classes))
    if count < MIN_CLASSES_FOR_TOP5:
        least = round(MIN_CLASSES_FOR_TOP5 / CHILD_SHARE)
        raise InputError(f"{dataset.name} has {len(dataset.classes)} classes; to hold some back takes {least} or more")
    order = hash_order(dataset.classes)
    return sorted(order[:count]), sorted(order[count:])


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """The runs of one seed, the fine-tuned child and the one from scratch."""

    folders: tuple[Path, Path]
    answers: tuple[Answers, Answers]


def _children(study: Study, classes: list[int], parent: Path, seed: int) -> _Pair:
    net = study.setting.net
    data = subset(study.dataset, classes, train_per_class=IMAGES_PER_CLASS, seed=seed)
    scratch = Run(net=net, epochs=CHILD_EPOCHS, batch_size=CHILD_BATCH_SIZE, seed=seed)
    recipe = f"{default_recipe(net).name}+fine-tune+new-classifier"
    folders = (
        trained(replace(scratch, recipe=recipe, weights=str(parent)), study, data),
        trained(scratch, study, data),
    )
    answers = (answers_of(folders[0], study, data), answers_of(folders[1], study, data))
    return _Pair(folders=folders, answers=answers)


CLAIM = Claim(
    name="transfer",
    statement="a net trained on other classes first has lower errors after fine-tuning than one from scratch",
    source="sec. 6, table 2",
    published="1.7 / 1.6 points",
    author_log="1.67 / 1.59 points (146-2012-2011 against 145)",
    settings=tuple(
        replace(setting, fits=Fits(least_classes=max(60, setting.fits.least_classes))) for setting in WHOLE_NETS
    ),
    run=run,
)
