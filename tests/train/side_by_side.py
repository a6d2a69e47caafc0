"""What the processes of tests/train/test_layouts.py do: ten steps in a layout, and beside them the same in one net.

`python -m tests.train.side_by_side FOLDER NAME...`, in each process; the first writes to FOLDER/NAME.json.
All in double, so that differences are those of the order of sums.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.arch import find
from alexnet.arch.rows import Conv, Dropout, Fc, MaxPool, Relu, Softmax
from alexnet.arch.spec import Spec
from alexnet.data.loader import Batch
from alexnet.nn import InputLayer, build
from alexnet.preprocess import Preprocessing
from alexnet.recipes import find_recipe
from alexnet.spans import spans
from alexnet.train.in_parts import OneWeirdTrick
from alexnet.train.joining import joined
from alexnet.train.layouts import Parallel, lay_out
from alexnet.train.loop import Trainer
from alexnet.train.ranks import Ranks
from alexnet.train.share import Share

STEPS, IMAGES, CLASSES = 10, 9, 11
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Comparison:
    """A net by a recipe; `update` instead of the recipe's; `per_pass` images at a time; `side` of smaller images."""

    net: str
    parallel: Parallel
    recipe: str = "krizhevsky-145"
    update: str = "2012"
    per_pass: int | None = None
    size: int | None = None
    side: int | None = None


# Drops parts of feature maps that lie channels last in memory, and units of an fc row.
DROPPING = Spec(
    name="dropping",
    source="a test",
    input=(3, 12, 12),
    rows=(
        Conv("conv1", 6, 3, padding=1, weight_std=0.1),
        Relu("relu1"),
        MaxPool("pool1", 3, 2),
        Dropout("drop1", 0.5, scale_at="train"),
        Fc("fc2", 15, weight_std=0.1),
        Relu("relu2"),
        Dropout("drop2", 0.5),
        Fc("fc3", CLASSES, weight_std=0.1),
        Softmax("prob"),
    ),
)

# krizhevsky-145 freezes conv1 at 0.79 of a run.
COMPARISONS = {
    "data": Comparison("digits", "data"),
    "data, passes": Comparison("dropping", "data", "digits", per_pass=2),
    "data, lars": Comparison("dropping", "data", update="lars"),
    "data, two sizes": Comparison("digits", "data", side=8),
    "data, dropout": Comparison("dropping", "data", "digits"),
    "towers": Comparison("cifar-towers", "towers", size=16),
    "towers, passes": Comparison("dropping", "towers", per_pass=4),
    "towers, lars": Comparison("cifar-towers", "towers", update="lars", size=16),
    "towers, dropout": Comparison("dropping", "towers", "digits"),
    "one-weird-trick": Comparison("digits", "one-weird-trick"),
    "one-weird-trick, lars": Comparison("dropping", "one-weird-trick", update="lars"),
    "one-weird-trick, uneven": Comparison("cifar-towers+tanh", "one-weird-trick", size=16),
    "one-weird-trick, dropout": Comparison("dropping", "one-weird-trick", "digits"),
    "one-weird-trick, two sizes": Comparison("digits", "one-weird-trick", side=8),
}


def spec_of(what: Comparison) -> Spec:
    return DROPPING if what.net == DROPPING.name else find(what.net, num_classes=CLASSES, input_size=what.size)


class Double(InputLayer):
    def forward(self, *arguments: Any, **more: Any) -> Tensor:
        return super().forward(*arguments, **more).double()


def trainer_of(what: Comparison, parallel: Parallel, ranks: Ranks, per_pass: int | None = None) -> Trainer:
    spec = spec_of(what)
    crop = spec.input[1]
    recipe = replace(find_recipe(what.recipe), batch_size=IMAGES, update=what.update, trust=0.01, warmup_steps=4)
    layout = lay_out(parallel, build(spec, seed=0).double(), [what.side] if what.side else [], ranks, CPU)
    inputs = Double(Preprocessing(resize=crop, crop=crop, mean=(120.0, 119.0, 105.0)))
    return Trainer(
        layout,
        recipe,
        inputs,
        device=CPU,
        dtype=torch.float32,
        seed=0,
        total_steps=STEPS,
        images_per_pass=per_pass,
    )


def batch_of(side: int, step: int, count: int = IMAGES) -> Batch:
    rng = np.random.default_rng(step)
    images = rng.integers(0, 256, (count, 3, side, side), np.uint8)
    noise = rng.normal(0, 10, (count, 3)).astype(np.float32)
    return Batch(images, rng.integers(0, CLASSES, count), noise, np.arange(count))


def part_of(batch: Batch, share: Share) -> Batch:
    own = slice(share.own.start, share.own.stop)
    assert batch.noise is not None
    return Batch(batch.images[own], batch.labels[own], batch.noise[own], batch.indices[own])


def sizes_at(step: int, count: int) -> tuple[int, ...]:
    """How many of a step's images each process has: one step leaves all but the first with none, one the first."""
    if step == 3:
        return (IMAGES, *[0] * (count - 1))
    if step == 5:
        return (*[0] * (count - 1), IMAGES)
    return tuple(span.size for span in spans(IMAGES, count))


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest, relative to the largest number."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-30))


def largest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(difference(ours[name], theirs[name]) for name in theirs)


def compare(what: Comparison, ranks: Ranks) -> dict[str, Any]:
    one, ours = trainer_of(what, "data", Ranks()), trainer_of(what, what.parallel, ranks, what.per_pass)
    found: dict[str, Any] = {"loss": 0.0, "wrong": True}
    for step in range(STEPS):
        side = what.side if what.side and step % 2 else one.layout.spec.input[1]
        batch, share = batch_of(side, step), Share(sizes_at(step, ranks.count), ranks.rank)
        expected, wrong = one.step(batch, step)
        if ours.layout.divides_images:
            loss, our_wrong = ours.step(part_of(batch, share), step, 0, share)
        else:
            loss, our_wrong = ours.step(batch, step)
        found["loss"] = max(found["loss"], abs(float(loss - expected)) / float(expected))
        found["wrong"] &= int(wrong) == int(our_wrong)
        if step == 0:
            found["first gradient"] = largest(ours.velocities(), one.velocities())  # of which it is a multiple
    found["weights"] = largest(ours.weights(), one.weights())
    found["velocities"] = largest(ours.velocities(), one.velocities())
    found["parts"] = ours.layout.module.head.exchange.num_parts if isinstance(ours.layout, OneWeirdTrick) else None
    begun = build(one.layout.spec, seed=0).double().state_dict()
    found["moved"] = min(difference(tensor, begun[name]) for name, tensor in one.weights().items() if "weight" in name)
    return found | {"back and forth": back_and_forth(what, ours, one)}


def back_and_forth(what: Comparison, ours: Trainer, one: Trainer) -> bool:
    """Whether what a layout gives goes into one net as it is, and the other way."""
    weights, velocities = ours.weights(), ours.velocities()
    one.load(weights, velocities)
    same = all(torch.equal(one.weights()[name], weights[name]) for name in weights)
    for tensor in ours.net.state_dict().values():
        tensor.zero_()
    ours.load(one.weights(), one.velocities())
    now, moving = ours.weights(), ours.velocities()
    return same and all(
        torch.equal(now[name], weights[name]) and torch.equal(moving[name], velocities[name]) for name in weights
    )


def main(folder: str, *names: str) -> None:
    with joined(CPU) as ranks:
        for name in names:
            found = compare(COMPARISONS[name], ranks)
            if ranks.is_first:
                (Path(folder) / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    arguments: Sequence[str] = sys.argv[1:]
    main(*arguments)
