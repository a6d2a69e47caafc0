"""What the paper's text leaves out: initial weights of 0.03 in conv3 to conv5, without which training stalls.

Claim: the text has 0.01 everywhere (sec. 5); layers-145.cfg has 0.03 in conv3 to conv5. That with 0.03 the loss leaves
    chance sooner is ours: the paper says nothing of it.
Setting: the first 400 steps, an epoch at most, of `first_steps`, once with the rows' own standard deviations and once
    with 0.01; net 145, seed 0, the same batches.
Run: alexnet claims stall --data DATA
Report: the step from which the training loss, averaged over 20 steps, stays below that of chance; both curves. There is
    no verdict: one seed, and nothing that was published.
"""

import json
from dataclasses import replace
from functools import partial
from math import log
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
from alexnet.errors import InputError
from alexnet.experiments.claims.claim import Claim, Study
from alexnet.experiments.claims.drawing import draw_lines
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.machine import describe_machine, precision_of
from alexnet.experiments.claims.settings import PHOTOGRAPHS

NUM_STEPS = 400
STDS = {"as run in 2012, 0.03 in conv3 to conv5": None, "as in the text, 0.01 everywhere": 0.01}

Records = list[dict[str, Any]]


def run(study: Study) -> Finding:
    """Both beginnings; a finished one is kept.

    Raises:
        InputError: other epochs or more seeds, which `first_steps` does not take; steps kept of other data.
    """
    if study.asked.epochs or study.asked.seeds:
        raise InputError("claim stall is about the first steps of seed 0; leave --epochs and --seeds out")
    num_steps = study.asked.limit_train_batches or NUM_STEPS
    kept = {name: _beginning(study, num_steps, std) for name, std in STDS.items()}
    logs: dict[str, Records] = {name: each["records"] for name, each in kept.items()}
    chance = log(len(study.dataset.classes))
    left = {name: leaves(records, chance) for name, records in logs.items()}
    of_2012, _ = kept.values()
    return Finding(
        ours="; ".join(
            f"{name}: {_when(step, records)}" for (name, step), records in zip(left.items(), logs.values(), strict=True)
        ),
        verdict=None,
        setting={
            "data": study.dataset.name,
            **{name: of_2012[name] for name in ("net", "recipe", "precision", "machine")},
            "steps": of_2012["records"][-1]["step"],
            "seeds": 1,
        },
        covers="none: one seed, so that nothing is known of the spread, nor of what would have been seen",
        details={"below_chance_from_step": left, "chance_loss": chance},
        draw=partial(_draw, logs, chance),
    )


def leaves(records: Records, chance: float) -> int | None:
    """The step of the first record from which on all losses are below `chance`; None if the last one is not.

    A loss that is no number is not below.
    """
    last_above = max((place for place, record in enumerate(records) if not record["loss"] < chance), default=-1)
    return int(records[last_above + 1]["step"]) if last_above + 1 < len(records) else None


def _when(step: int | None, records: Records) -> str:
    return f"below chance from step {step}" if step else f"not below chance in {records[-1]['step']} steps"


def _beginning(study: Study, num_steps: int, std: float | None) -> dict[str, Any]:
    """One beginning, trained now if it was not before: net, recipe, precision, machine, data and records; plain JSON.

    Raises:
        InputError: one of other data of the same name is kept.
    """
    from alexnet.train.folder import describe_data

    data, precision = describe_data(study.dataset), precision_of(study.asked.device)
    name = f"first-steps_{num_steps}-steps_std-{std or 'own'}_{precision}.json"
    path = study.asked.runs / study.dataset.name / name
    if not path.is_file():
        made = {"data": data, **_train(study, num_steps, std)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(made), encoding="utf-8")
    kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if kept["data"] != data:
        raise InputError(f"{path} is of other data of that name; delete it, or choose another --runs")
    return kept


def _train(study: Study, num_steps: int, std: float | None) -> dict[str, Any]:
    from alexnet.experiments.first_steps import first_steps, plan_first_steps

    asked = study.asked
    plan = plan_first_steps(study.dataset, study.observer, std=std, device=asked.device, workers=asked.workers)
    records = list(first_steps(plan, num_steps, study.observer, f"std {std or 'of the rows'}"))
    return {
        "net": plan.spec.name,
        "recipe": plan.recipe.name,
        "precision": plan.options.precision,
        "machine": plan.describe_machine() | describe_machine(asked.device),
        "records": records,
    }


def _draw(logs: dict[str, Records], chance: float, path: Path) -> None:
    lines = {
        name: ([record["step"] for record in records], [record["loss"] for record in records])
        for name, records in logs.items()
    }
    draw_lines(lines, path, labels=("step", "training loss (nats)"), level=chance)


CLAIM = Claim(
    name="stall",
    statement="with initial weights of 0.03 in conv3 to conv5 the loss leaves chance sooner than with the text's 0.01",
    source="sec. 5 against layers-145.cfg",
    published="0.01 everywhere; nothing about a stall",
    author_log="0.03 in conv3 to conv5 (layers-145.cfg)",
    # By the net's own recipe, whose first steps are what the text is about.
    settings=(replace(PHOTOGRAPHS, recipe=None, epochs=2, seeds=1),),
    rule="no verdict: one seed, and nothing that was published",
    run=run,
)
