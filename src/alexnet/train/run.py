"""A run begun or resumed, in a folder that can repeat it.

The folder holds run.json (what was asked for), what the run began with (statistics.npz, mean_image.npy), metrics.jsonl,
curves.png, TensorBoard's event files where that is installed, checkpoint.pt, last.safetensors and, where there is a
validation split, best.safetensors. It can be resumed after whatever has ended it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

import torch

from alexnet.atomic import remove_leftovers
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.errors import InputError, WeightsError
from alexnet.lock import hold
from alexnet.memory import keep_memory
from alexnet.nn.native import why_not
from alexnet.train.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint
from alexnet.train.device import has_fast_bf16
from alexnet.train.epochs import CURVES, Epochs, RunResult
from alexnet.train.folder import begin_run, check_data, check_unused, read_run
from alexnet.train.loop import Trainer
from alexnet.train.observer import Observer, Printing
from alexnet.train.options import RunOptions
from alexnet.train.plan import Plan, make_plan
from alexnet.train.saver import BEST, LAST
from alexnet.train.stop import stop_requests

__all__ = ["RunResult", "train"]


def train(
    options: RunOptions,
    observer: Observer | None = None,
    *,
    dataset: DataSet | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    workers: int = 2,
) -> RunResult:
    """Train as `options` say and keep everything in `out` (default runs/<data>-<time>), told to `observer` (default:
    printed).

    `dataset`: what `options.data` would be opened as, where it is open already or has no name, such as some classes of
    another; it is needed again to resume. `device` and `workers` belong to the machine, not to the run: they may differ
    when it is resumed. Ctrl-C and SIGTERM save where the run stands, after the step in hand, and then do what they
    always do. One run at a time in a process: each step seeds torch's generator, which all threads share.

    Raises:
        InputError: options, data or weights that cannot be used, a folder that already holds a run, or is in use.
        DivergedError: the loss is not a finite number.
        OSError: the disk is full or the folder is read-only.
        KeyboardInterrupt: Ctrl-C; all is saved.
    """
    observer = observer or Printing()
    keeps_memory = keep_memory()
    if resume and not out:
        raise InputError("--resume continues the run in --out; say which folder that is")
    kept = read_run(Path(out), options) if out and resume else None
    options = kept.options if kept else options
    is_given = dataset is not None
    dataset = dataset or open_data(
        options.data, Path(options.ground_truth) if options.ground_truth else None, options.class_order or "sorted"
    )
    folder = Path(out) if out else _new_folder(dataset.name)
    if kept:
        check_data(folder, kept, dataset)
    else:
        check_unused(folder)
    beginning = kept.beginning if kept else None
    plan = make_plan(options, dataset, observer, device=device, workers=workers, beginning=beginning)
    plan = replace(plan, has_data_of_its_own=is_given)
    _say_how_fast(observer, plan.trainer, keeps_memory)
    with _alone_in(folder), stop_requests() as stop:
        progress = _resume(plan, folder, observer) if resume else _begin(plan, folder)
        return Epochs(plan, folder, progress, observer, stop).train()


def _say_how_fast(observer: Observer, trainer: Trainer, keeps_memory: bool) -> None:
    if trainer.dtype == torch.bfloat16 and not has_fast_bf16(trainer.device):
        observer.say(f"this {trainer.device.type} has no fast bf16 products; --precision fp32 may well be faster")
    if trainer.device.type != "cpu":
        return
    if keeps_memory:
        observer.say("memory is kept for reuse, which speeds up training on CPUs; ALEXNET_KEEP_MEMORY=0 turns it off")
    if reason := why_not():
        observer.say(f"norms and pools run on torch's own operations, which is slower: {reason}")


def _new_folder(data: str) -> Path:
    """runs/<data>-<time>, numbered where another run has begun in the same second."""
    name = f"{Path(data).name}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(folder for name in names if not (folder := Path("runs") / name).exists())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other process writes into the folder, and what a killed one has left half written is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    with hold(folder):
        remove_leftovers(folder)
        yield


def _begin(plan: Plan, folder: Path) -> Progress:
    """A checkpoint before the first step: from then on the run needs no parent, and a disk too full shows at once."""
    check_unused(folder)  # again: another run may have begun here while this one was planned
    for name in (BEST, LAST, CURVES):  # of an earlier run whose run.json is gone
        (folder / name).unlink(missing_ok=True)
    progress, trainer = Progress(), plan.trainer
    save_checkpoint(folder, progress, trainer.net.state_dict(), trainer.optimizer.velocities())
    begin_run(folder, plan.options, plan.beginning, plan.describe())
    return progress


def _resume(plan: Plan, folder: Path, observer: Observer) -> Progress:
    progress, weights, velocities = load_checkpoint(folder)
    try:
        plan.trainer.net.load_state_dict(weights)
        plan.trainer.optimizer.load_velocities(velocities)
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{folder / CHECKPOINT} is of another net than {plan.spec.name}") from error
    observer.say(f"resumed {folder} at step {progress.step:,} of {plan.total_steps:,}")
    return progress
