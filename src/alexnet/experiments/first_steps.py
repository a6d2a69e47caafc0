"""The first steps of net 145 from initial weights of one's choice: when does the loss leave chance?

Claim: with standard deviations of 0.03 in conv3 to conv5 the loss passes below chance after about a hundred steps on
    Tiny ImageNet; with 0.01 everywhere, as the paper has it, it sits there much longer.
Setting: data, batches, noise and rates of `alexnet train DATA --net krizhevsky-145 --epochs 2`, seed 0; the initial
    weights are the same random numbers times another factor.
Run: python -m alexnet.experiments.first_steps DATA --std 0.01 --steps 250 --out LOG.jsonl
Report: the training loss every 20 steps, in the form of a run folder's metrics.jsonl.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from alexnet.arch.rows import Weighted
from alexnet.arch.spec import Spec
from alexnet.atomic import write_whole
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.memory import keep_memory
from alexnet.nn import build
from alexnet.train.loop import STEPS_PER_RECORD
from alexnet.train.observer import Advance, Observer, Printing
from alexnet.train.options import RunOptions
from alexnet.train.plan import Plan, make_plan

NET, EPOCHS, SEED = "krizhevsky-145", 2, 0


def with_weight_std(spec: Spec, std: float) -> Spec:
    """The net with all its weights drawn as N(0, std^2)."""
    return spec.with_rows({row.name: replace(row, weight_std=std) for row in spec.rows if isinstance(row, Weighted)})


def plan_first_steps(
    dataset: DataSet, observer: Observer, *, std: float | None = None, device: str = "auto", workers: int = 2
) -> Plan:
    """What is about to be trained. `std`: of all initial weights; None leaves each row its own.

    Raises:
        InputError: data that cannot be trained on, no such device.
    """
    keep_memory()
    options = RunOptions(data=dataset.name, net=NET, epochs=EPOCHS, seed=SEED)
    plan = make_plan(options, dataset, observer, device=device, workers=workers)
    if std is not None:
        plan.trainer.net.load_state_dict(build(with_weight_std(plan.spec, std), seed=SEED).state_dict())
    return plan


def first_steps(plan: Plan, num_steps: int, observer: Observer, what: str) -> Iterator[dict[str, Any]]:
    """Train for `num_steps`, at most an epoch; a record every 20 steps and at the end, with the mean loss since the one
    before. `what`: for the observer.
    """
    trainer, num_steps = plan.trainer, min(num_steps, plan.steps_per_epoch)
    losses = []
    with observer.progress(what, num_steps, "steps") as advance:
        for step, batch in enumerate(islice(plan.loader.epoch(0), num_steps)):
            losses.append(float(trainer.step(batch, step)[0]))
            advance(1, f"loss {losses[-1]:.3f}")
            if len(losses) == STEPS_PER_RECORD or step + 1 == num_steps:
                mean = sum(losses) / len(losses)
                yield {"step": step + 1, "epoch": 1, "split": "train", "loss": mean, **trainer.rates()}
                losses.clear()


class Lines(Printing):
    """Prints the way of the work too, every 20 units."""

    @contextmanager
    def progress(self, description: str, total: int, unit: str) -> Iterator[Advance]:
        """Work of `total` units."""
        done = 0

        def advance(count: int = 1, note: str = "") -> None:
            nonlocal done
            done += count
            if note and done % STEPS_PER_RECORD == 0:
                self.say(f"{description}: {done:,}/{total:,} {unit}, {note}")

        yield advance


def main(arguments: list[str] | None = None) -> None:
    """The command at the head of this file."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("data", help="what `alexnet train` takes")
    parser.add_argument("--std", type=float, help="of all initial weights; default: each row's own")
    parser.add_argument("--steps", type=int, default=250, help="updates, at most an epoch")
    parser.add_argument("--out", type=Path, required=True, help="the log, JSON lines")
    asked = parser.parse_args(arguments)
    observer = Lines()
    plan = plan_first_steps(open_data(asked.data), observer, std=asked.std)
    records = list(first_steps(plan, asked.steps, observer, f"std {asked.std or 'of the rows'}"))
    with write_whole(asked.out) as temporary:
        temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    main()
