"""Does a run that is killed at any moment end with the same weights, bit for bit?

Trains the demo's net a few epochs, with a mean image, colour noise and a validation split, in a process of its own,
kills that with SIGKILL at random moments, half of them while a checkpoint is being written, resumes it, kills it again,
and lets it finish; then compares weights, velocities, progress and every measurement with those of a run that nobody
killed.

    python bench/kill_runs.py --kills 50

Exit status 1 if a single bit differs. Not for Windows, which has no SIGKILL and no fork.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import torch

from alexnet.data.datasets import open_data
from alexnet.train import loop, saver
from alexnet.train.checkpoint import CHECKPOINT, load_checkpoint
from alexnet.train.log import read_metrics
from alexnet.train.observer import Silent
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.weights.catalog import RUN_FILE

KILLS_PER_RUN = 5
SETTINGS = {"net": "digits", "recipe": "krizhevsky-145", "epochs": 3, "batch_size": 32, "limit_train_batches": 8}
THREADS = 2
LOADED_LATE = ("torch._dynamo", "torch.utils.tensorboard", "matplotlib.figure", "sklearn.datasets")
WRITING_PATIENCE = 10.0  # seconds to wait for a checkpoint's temporary file before killing anyway


def make_photos(folder: Path) -> Path:
    """The scans of three digits as class folders of PNG files."""
    digits = open_data("digits").split("train")
    for index in range(len(digits)):
        if (label := int(digits.labels[index])) < 3:
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            digits.image(index).save(folder / str(label) / f"{index}.png")
    return folder


def run_whole_or_on(folder: Path) -> None:
    """What the killed process does: begin the run or go on, with a checkpoint after every second step."""
    torch.set_num_threads(THREADS)
    loop.STEPS_PER_RECORD, saver.SECONDS_PER_CHECKPOINT = 2, -1.0
    options = RunOptions(data=str(folder.parent / "photos"), **SETTINGS)  # type: ignore[arg-type]
    train(options, Silent(), out=folder, resume=(folder / RUN_FILE).exists(), device="cpu")


def kill_once(folder: Path, seconds: float, while_writing: bool) -> str:
    """Run until `seconds` have passed, or until the next checkpoint is being written after them; where that was."""
    process = multiprocessing.get_context("fork").Process(target=run_whole_or_on, args=(folder,))
    process.start()
    end = monotonic() + seconds
    while process.is_alive() and (monotonic() < end or (while_writing and not _writing(folder, end))):
        sleep(0.0005)
    if not process.is_alive():
        process.join()
        return "finished before" if process.exitcode == 0 else f"FAILED with status {process.exitcode}"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    return _where(folder)


def _writing(folder: Path, end: float) -> bool:
    return monotonic() > end + WRITING_PATIENCE or any(folder.glob(f".{CHECKPOINT}.*.tmp"))


def _where(folder: Path) -> str:
    if any(folder.glob(f".{CHECKPOINT}.*.tmp")):
        return "writing a checkpoint"
    if any(folder.glob(".*.tmp")):
        return "writing another file"
    if not (folder / RUN_FILE).exists():
        return "before the run had begun"
    return "training or measuring errors"


def differences(one: Path, other: Path) -> list[str]:
    """The names of all that is not the same in two finished runs."""
    ours, theirs = load_checkpoint(one), load_checkpoint(other)
    wrong = [] if ours[0] == theirs[0] else [f"progress {ours[0]} and {theirs[0]}"]
    for kind, tensors, others in zip(("weight", "velocity"), ours[1:], theirs[1:], strict=True):
        wrong += [f"{kind} {name}" for name in tensors if not torch.equal(tensors[name], others[name])]
    wrong += [name for name in (saver.LAST, saver.BEST) if (one / name).read_bytes() != (other / name).read_bytes()]
    if _measured(one) != _measured(other):
        wrong.append("measurements")
    return wrong


def _measured(folder: Path) -> list[dict[str, Any]]:
    return [{key: each[key] for key in each if key != "images_per_second"} for each in read_metrics(folder)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)  # a pool of threads would not survive a fork
    for module in LOADED_LATE:  # all that is loaded here, the killed processes need not load again
        import_module(module)
    rng, kills, ends = random.Random(asked.seed), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        make_photos(Path(place) / "photos")
        whole = Path(place) / "whole"
        start = monotonic()
        kill_once(whole, 1e9, while_writing=False)
        duration = monotonic() - start
        left = asked.kills
        for number in range(10 * asked.kills):
            folder = Path(place) / f"run-{number}"
            for _ in range(min(KILLS_PER_RUN, left)):
                where = kill_once(folder, rng.uniform(0, duration / 3), while_writing=rng.random() < 0.5)
                kills[where] += 1
                left -= where != "finished before"
            assert kill_once(folder, 1e9, while_writing=False) == "finished before"
            wrong = differences(folder, whole)
            ends["the same weights, velocities, progress and measurements" if not wrong else f"DIFFERENT: {wrong}"] += 1
            if not left:
                break
    print(f"one run: {duration:.1f} s, 24 steps, 13 checkpoints; {asked.kills} kills in {sum(ends.values())} runs")
    for counts in (kills, ends):
        print(*(f"{count:4}  {what}" for what, count in counts.most_common()), sep="\n", end="\n\n")
    return int(len(ends) > 1 or "DIFFERENT" in str(ends) or "FAILED" in str(kills))


if __name__ == "__main__":
    sys.exit(main())
