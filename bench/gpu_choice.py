"""Which way of training is best: a few variations, a few epochs each, measured on training images that are held out.

    python bench/gpu_choice.py tiny-imagenet --net krizhevsky-145 --epochs 9 --out FOLDER

A tenth of the training images, drawn by a fixed seed, is held out; the validation images are never looked at. Called
again, it goes on from there. So short a run favours what learns fast, which need not be what learns most. Printed is
JSON: `images` held out, and what was `tried`, options of `alexnet train` with their top-1 error, the best first.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.cli.progress import Watcher
from alexnet.cores import usable_cores
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.data.subset import choose
from alexnet.errors import DivergedError
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.weights.catalog import RUN_FILE

HELD_OUT, SEED = 0.1, 2012

# Options of `alexnet train` for each net. Not recipe `tiny-imagenet`: images that grow are not kept on the device.
VARIATIONS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "krizhevsky-145": (
        {"recipe": "krizhevsky-145"},
        {"recipe": "krizhevsky-145", "lr": 0.02},
        {"recipe": "dexp"},
        {"recipe": "dexp", "lr": 0.02},
    ),
    "digits": ({"recipe": "digits"}, {"recipe": "digits", "lr": 0.01}),
}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """options: of `alexnet train`. top1_error: a fraction, None where the loss was no number any more."""

    options: Mapping[str, Any]
    top1_error: float | None


def hold_out(dataset: DataSet) -> DataSet:
    """The training images alone, a tenth of them as `val`."""
    train_split = dataset.split("train")
    order = np.random.default_rng(SEED).permutation(len(train_split))
    count = round(HELD_OUT * len(order))
    parts = {"train": order[count:], "val": order[:count]}
    return replace(
        dataset,
        name=f"{dataset.name}-without-a-tenth",
        splits={name: choose(train_split, np.sort(indices)) for name, indices in parts.items()},
        fingerprint=f"{dataset.fingerprint}-without-{HELD_OUT:g}-by-{SEED}",
        statistics=None,  # those of all training images
    )


def try_out(options: Mapping[str, Any], dataset: DataSet, asked: argparse.Namespace) -> Tried:
    """Train by one variation, and measure it on the images held out."""
    folder = asked.out / "_".join(f"{name}-{value}" for name, value in options.items())
    run = RunOptions(
        data=asked.data, net=asked.net, epochs=asked.epochs, limit_train_batches=asked.limit_train_batches, **options
    )
    resume = (folder / RUN_FILE).exists()
    try:
        result = train(run, Watcher(), dataset=dataset, out=folder, resume=resume, workers=usable_cores())
    except DivergedError:
        return Tried(options=options, top1_error=None)
    assert result.evaluation  # there are images held out
    return Tried(options=options, top1_error=result.evaluation.top1_error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="what `alexnet train` takes")
    parser.add_argument("--net", choices=VARIATIONS, default="krizhevsky-145")
    parser.add_argument("--epochs", type=int, default=9, help="of each variation")
    parser.add_argument("--limit-train-batches", type=int, help="steps an epoch at most")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    asked = parser.parse_args()
    dataset = hold_out(open_data(asked.data))
    tried = [try_out(options, dataset, asked) for options in VARIATIONS[asked.net]]
    ended = [each for each in tried if each.top1_error is not None]
    if not ended:
        sys.exit("the loss of every variation was no number any more; give lower rates in VARIATIONS")
    ranked = sorted(tried, key=lambda each: 2.0 if each.top1_error is None else each.top1_error)
    print(json.dumps({"images": len(dataset.splits["val"]), "tried": [vars(each) for each in ranked]}))


if __name__ == "__main__":
    main()
