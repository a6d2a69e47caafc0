"""In every run the towers specialize, one in colour and one in its absence.

Claim: the kernels on GPU 1 are largely colour-agnostic, those on GPU 2 largely colour-specific; this happens during
    every run, whatever the random initial weights, but for a renumbering of the GPUs (sec. 6.1, figure 3). How many
    runs there were is not said.
Setting: net 145 with other seeds, 90 epochs on ILSVRC-2012, fewer on Tiny ImageNet; beside it, as a control, the net
    without groups, whose halves know nothing of each other's place. Measure and threshold: see `population`.
Run: alexnet claims every-run --data DATA --seeds 1
    Each call adds so many seeds to those in results/population, and reports all of them.
Report: in how many of how many runs the towers are specialized, with the exact 95 % interval of the probability.
"""

from collections.abc import Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median

import numpy as np

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
    read_members,
    specialization,
)
from alexnet.experiments.claims.settings import WHOLE_NETS
from alexnet.experiments.claims.training import LAST, Run, trained
from alexnet.experiments.claims.wording import describe_training
from alexnet.pictures import RIGHT, new_figure, save_figure

CONTROL = "ungrouped"
LEAST_SURE = 0.5  # ours: below, so few runs are no evidence for "every"


def run(study: Study) -> Finding:
    """Add the seeds that were asked for, to the net and to its control, and count over all there are."""
    folders = {net: population_folder(study, net) for net in (study.setting.net, f"{study.setting.net}+{CONTROL}")}
    trained_folders = [_add(study, net, folder) for net, folder in folders.items()]
    members, control = (read_members(folder) for folder in folders.values())
    found, of_control = ([specialization(member.kernels) for member in each] for each in (members, control))
    low, high = of_share(sum(each.found for each in found), len(found))
    fresh = fresh_threshold(len(members[0].kernels), members[0].kernels.shape[-1])
    count_of = {name: sum(each.found for each in group) for name, group in (("net", found), ("control", of_control))}
    return Finding(
        ours=(
            f"specialized in {count_of['net']} of {len(found)} runs (probability {low:.2f} to {high:.2f}), "
            f"median difference of colour {median(each.difference for each in found):.3f}; "
            f"without groups in {count_of['control']} of {len(of_control)}"
        ),
        verdict=judge(found, low),
        setting=describe_training(study, trained_folders[0], net=study.setting.net, changed=[CONTROL])
        | {"seeds": len(members)},
        covers="the exact interval of Clopper and Pearson over seeds, for this setting alone",
        details={
            "specialized": count_of["net"],
            "runs": len(found),
            "interval": [low, high],
            "fresh_threshold": fresh,
            "net": _table(members, found),
            "control": _table(control, of_control),
        },
        draw=partial(_draw, found, of_control, fresh),
    )


def population_folder(study: Study, net: str) -> Path:
    """Where the kernels of this net's runs are kept, beside the results of the claims."""
    words = [net, study.dataset.name, f"{study.setting.epochs}-epochs"]
    words += [f"{limit}-steps"] if (limit := study.asked.limit_train_batches) else []
    return study.asked.out.parent / "population" / "_".join(words)


def judge(found: Sequence[Specialization], low: float) -> Verdict:
    """One run that is not specialized refutes "every"; a few that are do not prove it."""
    if not all(each.found for each in found):
        return "opposite"
    return "as published" if low >= LEAST_SURE else "cannot tell"


def _add(study: Study, net: str, folder: Path) -> Path:
    """Train the first seeds that are not there; the folder of one of the runs."""
    there = {member.seed for member in read_members(folder)}
    for seed in islice((seed for seed in count() if seed not in there), study.setting.seeds):
        path = trained(Run(net=net, epochs=study.setting.epochs, seed=seed), study)
        held_out = answers_of(path, study).held_out
        kernels = np.asarray(first_kernels(str(path / LAST)), np.float16)
        errors = {"top1_error": float(held_out.top1.mean()), "top5_error": float(held_out.top5.mean())}
        keep(folder, Member(seed=seed, kernels=kernels, errors=errors))
    return path


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
    settings=tuple(WHOLE_NETS),
    run=run,
)
