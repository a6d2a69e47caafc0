"""How much of a CPU training step is lost to the input?

    .venv/bin/python bench/stall.py                    # photographs prepared here, and Tiny ImageNet where it is
    .venv/bin/python bench/stall.py --rounds 10 --policies passive active

krizhevsky-145, batch 128, bf16, crops of 224; the step uses all cores, and so does the loader beside it. Blocks of
steps on batches from the loader take turns with blocks on batches made beforehand. Each figure alone would flatter:

- waiting: the time inside `next(batch)` as a share of the step and itself;
- slowdown: the whole step with the loader over the step without, what decoding takes from the net included;
- work: the processor time of the process, compared in the same way; other programs blur it less.

The loader's queue is full when a block begins, as it is after every step; the first step of a block is not counted.
Every image is decoded anew. Every line is a process of its own, since OMP_WAIT_POLICY (whether torch's threads sleep or
spin while they wait) is read once. Files are in the page cache.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

from photos import PHOTOS, link_photos
from record import record

BATCH_SIZE, NUM_READY, STEPS = 128, 4, 2
NUM_PHOTOS = 8 * BATCH_SIZE
TINY_IMAGENET = PHOTOS.parent / "tiny-imagenet"


class Cost(NamedTuple):
    """Of a step."""

    waiting: float
    seconds: float
    cpu_seconds: float


def measure(data: str, rounds: int, workers: int) -> None:
    """Print, as JSON, what `report` shows: lists over the rounds."""
    import numpy as np

    from alexnet.data.datasets import open_data
    from alexnet.data.loader import Batch, LoaderOptions, TrainLoader
    from alexnet.memory import keep_memory
    from alexnet.nn import create
    from ours import NET, trainer_of

    keep_memory()
    trainer = trainer_of(create(NET, seed=0))
    options = LoaderOptions(
        batch_size=BATCH_SIZE,
        resize=256,
        interpolation="bilinear",
        crop=224,
        crops="chunk",
        flip=True,
        seed=0,
        workers=workers,
        keep_bytes=0,
    )
    loader = TrainLoader(open_data(data).split("train"), options, (np.ones(3, np.float32), np.eye(3, dtype=np.float32)))
    loaded = (batch for epoch in count() for batch in loader.epoch(epoch) if len(batch.labels) == BATCH_SIZE)

    def run_block(batches: Iterator[Batch]) -> Cost:
        trainer.step(next(batches), 0)
        waiting, cpu, start = 0.0, process_time(), perf_counter()
        for _ in range(STEPS):
            asked = perf_counter()
            batch = next(batches)
            waiting += perf_counter() - asked
            trainer.step(batch, 0)
        return Cost(waiting / STEPS, (perf_counter() - start) / STEPS, (process_time() - cpu) / STEPS)

    ready = cycle(list(islice(loaded, NUM_READY)))
    blocks = [(run_block(ready), run_block(loaded)) for _ in range(rounds + 1)][1:]
    figures = {
        "waiting": [fed.waiting / fed.seconds for _, fed in blocks],
        "slowdown": [fed.seconds / alone.seconds - 1 for alone, fed in blocks],
        "work": [fed.cpu_seconds / alone.cpu_seconds - 1 for alone, fed in blocks],
        "milliseconds": [1000 * alone.seconds for alone, _ in blocks],
    }
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--policies", nargs="+", choices=["unset", "passive", "active"], default=["unset", "passive"])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.rounds, options.workers)
        return
    print(
        f"krizhevsky-145, batch {BATCH_SIZE}, bf16, {options.workers} workers, {options.rounds} rounds of {STEPS} steps"
    )
    with tempfile.TemporaryDirectory() as scratch:
        photos, packed = link_photos(Path(scratch, "photos"), NUM_PHOTOS, options.photos), Path(scratch, "packed")
        subprocess.run([sys.executable, "-m", "alexnet", "prepare", photos, packed], check=True, capture_output=True)
        sources = {"prepared photographs": packed, "class folders": photos}
        sources |= {"Tiny ImageNet": TINY_IMAGENET} if TINY_IMAGENET.is_dir() else {}
        figures = {}
        for name, data in sources.items():
            for policy in options.policies:
                title = f"{name}, OMP_WAIT_POLICY {policy}"
                figures[title] = measure_apart(data, policy, options)
                report(title, figures[title])
    record("stall", {"batch_size": BATCH_SIZE, "workers": options.workers, "figures": figures})


def measure_apart(data: Path, policy: str, options: argparse.Namespace) -> dict[str, list[float]]:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {} if policy == "unset" else {"OMP_WAIT_POLICY": policy.upper()}
    numbers = ["--rounds", str(options.rounds), "--workers", str(options.workers)]
    command = [sys.executable, __file__, "--measure", str(data), *numbers]
    figures: dict[str, list[float]] = json.loads(subprocess.check_output(command, env=environment, text=True))
    return figures


def report(title: str, figures: dict[str, list[float]]) -> None:
    print(f"{title}: step without input {median(figures['milliseconds']):,.0f} ms")
    for name in ("waiting", "slowdown", "work"):
        values = figures[name]
        print(f"  {name:10} {median(values):7.2%} ({min(values):.2%} to {max(values):.2%})", flush=True)


if __name__ == "__main__":
    main()
