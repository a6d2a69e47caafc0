"""How good is a classifier made of a few photographs a class, and in how many minutes, against one from scratch?

    .venv/bin/python bench/few_images.py CIFAR10 --classes airplane deer horse ship

What a user types, on a folder of 20 training images a class, measured on the test images: `alexnet train FOLDER`, which
fine-tunes the shipped weights in 20 epochs, and `alexnet train FOLDER --net krizhevsky-145 --epochs 20`; five times as
many are what the claim `transfer` is about. Each seed has training images of its own. The classes named above are ones
that the shipped weights do not know. Printed are top-1 errors, centre view, and minutes from command to end.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet, Split
from alexnet.data.subset import subset
from record import record, spread

WATCHED = 2  # test images a class that a run sees, about the tenth that it would take from a folder without val/
MEASURED = 250  # other test images a class, at most
WAYS = {"fine-tuned": (), "from scratch": ("--net", "krizhevsky-145", "--epochs", "20")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--classes", nargs="+", required=True)
    parser.add_argument("--images", type=int, default=20, help="training images a class")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    whole = open_data(options.data)
    names = [info.name for info in whole.classes]
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(options.seeds):
        chosen = [names.index(name) for name in options.classes]
        part = subset(whole, chosen, train_per_class=options.images, seed=seed)
        with TemporaryDirectory() as folder:
            write_folders(part, Path(folder))
            for way, arguments in WAYS.items():
                found[way].append(try_way(Path(folder), arguments, seed))
                print(f"seed {seed}, {way}: {found[way][-1]}", file=sys.stderr)
    figures: dict[str, Any] = {}
    print(f"{whole.name}, {len(options.classes)} classes, {options.images} training images each, {options.seeds} seeds")
    for way, runs in found.items():
        figures[way] = {key: spread([run[key] for run in runs]) for key in runs[0]}
        error, minutes = figures[way]["top1_error"], figures[way]["minutes"]
        print(
            f"{way:14} top-1 error {error['median']:6.1%} ({error['min']:.1%} to {error['max']:.1%}), "
            f"{minutes['median']:.1f} minutes ({minutes['min']:.1f} to {minutes['max']:.1f})"
        )
    record("few_images", {"classes": options.classes, "images": options.images, "ways": figures})


def write_folders(dataset: DataSet, folder: Path) -> None:
    """data/ with the training images and a few of the test images, by which a run keeps its best epoch; test/ with
    others.
    """
    assert dataset.held_out is not None
    train, held_out = dataset.split("train"), dataset.split(dataset.held_out)
    by_class = [np.flatnonzero(held_out.labels == label) for label in range(len(dataset.classes))]
    for data, part in {"data": slice(WATCHED), "test": slice(WATCHED, WATCHED + MEASURED)}.items():
        write(dataset, train, np.arange(len(train)), folder / data / "train")
        write(dataset, held_out, np.concatenate([places[part] for places in by_class]), folder / data / "val")


def write(dataset: DataSet, split: Split, indices: NDArray[np.int64], folder: Path) -> None:
    for index in indices.tolist():
        place = folder / dataset.classes[split.labels[index]].name / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        split.image(index).save(place)


def try_way(folder: Path, arguments: tuple[str, ...], seed: int) -> dict[str, float]:
    run = str(folder / "-".join(["run", *arguments]))
    start = perf_counter()
    alexnet("train", str(folder / "data"), *arguments, "--seed", f"{seed}", "--out", run)
    minutes = (perf_counter() - start) / 60
    measured = json.loads(alexnet("evaluate", str(folder / "test"), "--weights", run, "--json"))
    return {"top1_error": measured["top1_error"], "minutes": minutes}


def alexnet(*arguments: str) -> str:
    command = [sys.executable, "-m", "alexnet", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
