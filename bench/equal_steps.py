"""How far is a training step that processes share from that of one process, and how far are ten of them?

    OMP_NUM_THREADS=1 .venv/bin/torchrun --standalone --nproc-per-node 2 bench/equal_steps.py
    OMP_NUM_THREADS=1 .venv/bin/torchrun --standalone --nproc-per-node 4 bench/equal_steps.py --nets cifar-towers

Random images and labels, recipe krizhevsky-145 over ten steps, which drops its rates, freezes conv1 and ends its colour
noise; dropout is on. In the fourth step the first process has all of the images. Printed are the largest differences,
of a tensor of its largest number, in float64. `towers, one process` has both towers in one process,
`in passes` takes a step's images two at a time, `2 machines` are this one, which says that it is two.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from alexnet.arch import find
from alexnet.arch.spec import Spec
from alexnet.data.loader import Batch
from alexnet.nn import InputLayer, build
from alexnet.preprocess import Preprocessing
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.spans import spans
from alexnet.train.joining import joined
from alexnet.train.layouts import lay_out
from alexnet.train.loop import Trainer
from alexnet.train.ranks import Ranks
from alexnet.train.share import Share

CPU, CLASSES, STEPS, BATCH_SIZE = torch.device("cpu"), 11, 10, 9
ALONE_IN_STEP = 3
TWO_MACHINES = "one-weird-trick, 2 machines"


class DoubleInputs(InputLayer):
    """Its float32 images as float64, for a net of such."""

    def forward(self, *images: Tensor, **options: torch.dtype) -> Tensor:  # type: ignore[override]
        found: Tensor = super().forward(*images, **options)  # type: ignore[arg-type]
        return found.double()


def trainer_of(
    spec: Spec, parallel: str, ranks: Ranks, images_per_pass: int | None = None, machines: int = 1
) -> Trainer:
    side, here = spec.input[1], ranks.count // machines
    ranks.local, ranks.here = ranks.rank % here, here
    layout = lay_out(parallel, build(spec, seed=0).double(), [], ranks, CPU)  # type: ignore[arg-type]
    return Trainer(
        layout,
        replace(KRIZHEVSKY_145, batch_size=BATCH_SIZE, hold_steps=0),
        DoubleInputs(Preprocessing(resize=side, crop=side, mean=(120.0, 119.0, 105.0))),
        device=CPU,
        dtype=torch.float32,
        seed=0,
        total_steps=STEPS,
        images_per_pass=images_per_pass,
    )


def batch_of(side: int, step: int) -> Batch:
    rng = np.random.default_rng(step)
    images = rng.integers(0, 256, (BATCH_SIZE, 3, side, side), np.uint8)
    noise = rng.normal(0, 10, (BATCH_SIZE, 3)).astype(np.float32)
    return Batch(images, rng.integers(0, CLASSES, BATCH_SIZE), noise, np.arange(BATCH_SIZE))


def own_part(batch: Batch, share: Share) -> Batch:
    own = slice(share.own.start, share.own.stop)
    assert batch.noise is not None
    return Batch(batch.images[own], batch.labels[own], batch.noise[own], batch.indices[own])


def apart(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    return max(
        float((found[name] - tensor).abs().max() / (tensor.abs().max() or 1)) for name, tensor in expected.items()
    )


def compare(
    spec: Spec, parallel: str, ranks: Ranks, images_per_pass: int | None = None, machines: int = 1
) -> tuple[float, ...]:
    """Of loss, weights after the first step, weights and velocities after the last."""
    one, many = trainer_of(spec, "data", Ranks()), trainer_of(spec, parallel, ranks, images_per_pass, machines)
    losses, first = 0.0, 0.0
    for step in range(STEPS):
        batch = batch_of(spec.input[1], step)
        sizes = tuple(span.size for span in spans(BATCH_SIZE, ranks.count))
        sizes = (BATCH_SIZE, *(0 for _ in sizes[1:])) if step == ALONE_IN_STEP else sizes
        share = Share(sizes, ranks.rank) if many.layout.divides_images else Share((BATCH_SIZE,))
        expected, wrong = one.step(batch, step)
        loss, also_wrong = many.step(own_part(batch, share), step, 0, share)
        losses = max(losses, abs(float(loss - expected)) / float(expected))
        assert int(wrong) == int(also_wrong)
        if step == 0:
            first = apart(many.weights(), one.weights())
    return losses, first, apart(many.weights(), one.weights()), apart(many.velocities(), one.velocities())


def _silent(*_: object) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--nets", nargs="+", default=["krizhevsky-145", "cifar-towers"])
    nets = parser.parse_args().nets
    with joined(CPU) as ranks:
        say: Callable[..., None] = partial(print, flush=True) if ranks.is_first else _silent
        say(f"{ranks.count} processes; largest differences from one, {STEPS} steps of {BATCH_SIZE} images, float64")
        say(f"{'':48}{'loss':>9}{'weights':>9}{'weights':>9}{'velocities':>12}")
        say(f"{'':48}{'':>9}{'1 step':>9}{'10 steps':>9}{'10 steps':>12}")
        ways = {
            "data": partial(compare, parallel="data", ranks=ranks),
            "data, in passes": partial(compare, parallel="data", ranks=ranks, images_per_pass=2),
            "towers": partial(compare, parallel="towers", ranks=ranks),
            "towers, one process": partial(compare, parallel="towers", ranks=Ranks()),
            "one-weird-trick": partial(compare, parallel="one-weird-trick", ranks=ranks),
            TWO_MACHINES: partial(compare, parallel="one-weird-trick", ranks=ranks, machines=2),
        }
        for net in nets:
            for way, difference in ways.items():
                if (way == "towers" and ranks.count != 2) or (way == TWO_MACHINES and ranks.count < 4):
                    continue
                loss, first, weights, velocities = difference(find(net, num_classes=CLASSES))
                say(f"{net:20}{way:28}{loss:9.0e}{first:9.0e}{weights:9.0e}{velocities:12.0e}")


if __name__ == "__main__":
    main()
