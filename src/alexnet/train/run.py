"""A run begun or resumed, in a folder that can repeat it.

The folder holds run.json (what was asked for), what the run began with (statistics.npz, mean_image.npy), metrics.jsonl,
curves.png, TensorBoard's event files where that is installed, checkpoint.pt, last.safetensors and, where there is a
validation split, best.safetensors. It can be resumed after whatever has ended it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch

from alexnet.atomic import remove_leftovers
from alexnet.cores import usable_cores
from alexnet.data.datasets import open_data
from alexnet.data.splits import DataSet
from alexnet.errors import InputError, WeightsError
from alexnet.lock import hold
from alexnet.memory import keep_memory
from alexnet.nn.native import why_not
from alexnet.train.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint
from alexnet.train.device import has_fast_bf16, pick_device
from alexnet.train.epochs import CURVES, Epochs, RunResult
from alexnet.train.folder import KeptRun, begin_run, check_data, check_unused, read_run
from alexnet.train.joining import joined
from alexnet.train.launch import launch_id, may_restart
from alexnet.train.layouts import Parallel
from alexnet.train.loop import Trainer
from alexnet.train.observer import Observer, Printing, Silent
from alexnet.train.options import RunOptions
from alexnet.train.plan import Plan, make_plan
from alexnet.train.ranks import Ranks
from alexnet.train.saver import BEST, LAST
from alexnet.train.stop import stop_requests
from alexnet.weights.catalog import RUN_FILE

__all__ = ["RunResult", "train"]

LAUNCH = ".launch"  # by which torchrun's command that began the run is known when it starts processes again


def train(
    options: RunOptions,
    observer: Observer | None = None,
    *,
    dataset: DataSet | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    workers: int = 2,
    parallel: Parallel = "data",
    images_per_pass: int | None = None,
) -> RunResult:
    """Train as `options` say and keep everything in `out` (default runs/<data>-<time>), told to `observer` (default:
    printed).

    `dataset`: what `options.data` would be opened as, where it is open already or has no name, such as some classes of
    another; it is needed again to resume. `device`, `workers`, `parallel` and `images_per_pass` (a step's images go
    through the net in so many at a time) belong to the machine, not to the run: they may differ when it is resumed.
    Ctrl-C and SIGTERM save where the run stands, after the step in hand, and then do what they always do.

    Under `torchrun` all processes call this, and share the run as `parallel` says, see `alexnet.train.layouts`. Those
    that it starts again after a failure go on from the last checkpoint in `out`.

    Raises:
        InputError: options, data or weights that cannot be used, a folder that already holds a run, or is in use.
        DivergedError: the loss is not a finite number.
        RunError: another process of the run is gone.
        OSError: the disk is full or the folder is read-only.
        KeyboardInterrupt: Ctrl-C; all is saved.
    """
    keeps_memory = keep_memory()
    with joined(pick_device(device)) as ranks:
        observer = (observer or Printing()) if ranks.is_first else Silent()
        asked = ranks.together(
            lambda: _look(ranks, options, dataset, Path(out) if out else None, resume=resume), patiently=True
        )
        plan = ranks.together(
            lambda: make_plan(
                asked.options,
                asked.dataset,
                observer,
                device=device,
                workers=workers,
                beginning=asked.kept.beginning if asked.kept else None,
                parallel=parallel,
                images_per_pass=images_per_pass,
                ranks=ranks,
            ),
            patiently=True,
        )
        plan = replace(plan, has_data_of_its_own=dataset is not None)
        _say_how_fast(observer, plan.trainer, ranks, keeps_memory)
        folder = asked.folder
        with ExitStack() as stack, stop_requests() as stop:
            ranks.first(lambda: stack.enter_context(_alone_in(folder)))
            ranks.check_shared(folder)
            progress = _resume(plan, folder, observer) if asked.kept else _begin(plan, folder)
            return Epochs(plan, folder, progress, observer, stop).train()


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


class _Asked(NamedTuple):
    options: RunOptions
    kept: KeptRun | None
    dataset: DataSet
    folder: Path


def _look(ranks: Ranks, options: RunOptions, dataset: DataSet | None, out: Path | None, *, resume: bool) -> _Asked:
    """What is asked for, where it is, and what is there of it already."""
    if resume and not out:
        raise InputError("--resume continues the run in --out; say which folder that is")
    if may_restart() and not out:
        raise InputError("a run that torchrun may start again needs --out, to find what it has done")
    ranks.check_same({"idea of --out": "one" if out else "none", "--resume": resume})
    if out and may_restart() and not resume:
        resume = ranks.first(lambda: (out / RUN_FILE).exists() and _read(out / LAUNCH) == launch_id())
    kept = read_run(out, options) if out and resume else None
    options = kept.options if kept else options
    dataset = dataset or open_data(
        options.data, Path(options.ground_truth) if options.ground_truth else None, options.class_order or "sorted"
    )
    name = dataset.name
    folder = out or ranks.first(lambda: _new_folder(name))
    if kept:
        check_data(folder, kept, dataset)
    else:
        check_unused(folder)
    return _Asked(options, kept, dataset, folder)


def _say_how_fast(observer: Observer, trainer: Trainer, ranks: Ranks, keeps_memory: bool) -> None:
    if trainer.dtype == torch.bfloat16 and not has_fast_bf16(trainer.device):
        observer.say(f"this {trainer.device.type} has no fast bf16 products; --precision fp32 may well be faster")
    if trainer.device.type != "cpu":
        return
    threads, cores = torch.get_num_threads(), usable_cores()
    if ranks.here > 1 and threads < cores:
        observer.say(f"each process computes on {threads} of its {cores} cores; OMP_NUM_THREADS={cores} gives it all")
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
    progress, weights, velocities = Progress(), plan.trainer.weights(), plan.trainer.velocities()

    def begin() -> None:
        check_unused(folder)  # again: another run may have begun here while this one was planned
        for name in (BEST, LAST, CURVES, LAUNCH):  # of an earlier run whose run.json is gone
            (folder / name).unlink(missing_ok=True)
        save_checkpoint(folder, progress, weights, velocities)
        if may_restart():
            (folder / LAUNCH).write_text(launch_id(), encoding="utf-8")
        begin_run(folder, plan.options, plan.beginning, plan.describe())

    plan.ranks.first(begin)
    return progress


def _resume(plan: Plan, folder: Path, observer: Observer) -> Progress:
    progress, weights, velocities = plan.ranks.together(lambda: load_checkpoint(folder))
    try:
        plan.trainer.load(weights, velocities)
    except (RuntimeError, KeyError) as error:
        raise WeightsError(f"{folder / CHECKPOINT} is of another net than {plan.spec.name}") from error
    observer.say(f"resumed {folder} at step {progress.step:,} of {plan.total_steps:,}")
    return progress
