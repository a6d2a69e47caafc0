"""What the paper's text leaves out: initial weights of 0.03 in conv3 to conv5, without which training stalls.

Claim: the text has 0.01 everywhere (sec. 5); layers-145.cfg has 0.03 in conv3 to conv5. That with 0.03 the loss leaves
    chance sooner is ours: the paper says nothing of it.
Setting: the first 400 steps of `first_steps`, once with the rows' own standard deviations and once with 0.01; net 145,
    seed 0, the same batches.
Run: alexnet claims stall --data DATA
Report: the step from which the training loss, averaged over 20 steps, stays below that of chance; both curves.
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
from alexnet.experiments.claims.settings import PHOTOGRAPHS
from alexnet.experiments.claims.wording import describe_data, describe_machine

NUM_STEPS = 400
STDS = {"as run in 2012, 0.03 in conv3 to conv5": None, "as in the text, 0.01 everywhere": 0.01}

Records = list[dict[str, Any]]


def run(study: Study) -> Finding:
    """Both beginnings; a finished one is kept.

    Raises:
        InputError: other epochs or more seeds, which `first_steps` does not take.
    """
    if study.asked.epochs or study.asked.seeds:
        raise InputError("claim stall is about the first steps of seed 0; leave --epochs and --seeds out")
    num_steps = study.asked.limit_train_batches or NUM_STEPS
    logs = {name: _log(study, num_steps, std) for name, std in STDS.items()}
    chance = log(len(study.dataset.classes))
    left = {name: leaves(records, chance) for name, records in logs.items()}
    run_2012, text = left.values()
    sooner = run_2012 is not None and (text is None or run_2012 < text)
    same = run_2012 == text
    return Finding(
        ours="; ".join(
            f"{name}: below chance from step {step}" if step else f"{name}: not below chance in {num_steps} steps"
            for name, step in left.items()
        ),
        verdict="as published" if sooner else "cannot tell" if same else "opposite",
        setting={**describe_data(study), "steps": num_steps, "machine": describe_machine()},
        covers="one seed: nothing is known of the spread",
        details={"below_chance_from_step": left, "chance_loss": chance},
        draw=partial(_draw, logs, chance),
    )


def leaves(records: Records, chance: float) -> int | None:
    """The step of the first record from which on all losses are below `chance`; None if the last one is not."""
    last_above = max((place for place, record in enumerate(records) if record["loss"] >= chance), default=-1)
    return int(records[last_above + 1]["step"]) if last_above + 1 < len(records) else None


def _log(study: Study, num_steps: int, std: float | None) -> Records:
    from alexnet.experiments.first_steps import first_steps

    name = f"first-steps_{num_steps}-steps_std-{std or 'own'}.jsonl"
    path = study.asked.runs / study.dataset.name / name
    if not path.is_file():
        records = list(first_steps(study.asked.data, num_steps, study.observer, std=std))
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


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
    settings=(replace(PHOTOGRAPHS, epochs=2, seeds=1),),
    run=run,
)
