"""`alexnet` under adverse conditions: `python -m tests.train.disturbed SETTINGS train ...`, SETTINGS being JSON.

every: steps from one record, and checkpoint, to the next. kill, interrupt: [rank, step], which process is killed, or
asked to stop, before that step; the first time alone where torchrun begins again. mark: [path, step], a file that the
first process makes before that step. slow: [rank, seconds], how long which one takes for each batch. pause: seconds
before each step. stepping: seconds that a process may be behind. full: [rank, step] of a disk that is full from then
on. version: [rank, version of alexnet].
"""

import errno
import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from alexnet.cli import main
from alexnet.data.loader import TrainLoader
from alexnet.train import joining, loop, run, saver
from alexnet.train.loop import Trainer

RANK = int(os.environ.get("RANK", "0"))
IS_FIRST_TIME = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"


def disturb(settings: dict[str, Any]) -> None:
    if every := settings.get("every"):
        loop.STEPS_PER_RECORD, saver.SECONDS_PER_CHECKPOINT = every, -1.0
    if seconds := settings.get("stepping"):
        joining.STEPPING = timedelta(seconds=seconds)
    rank, version = settings.get("version", (-1, ""))
    if rank == RANK:
        joining.__version__ = version
    _disturb_steps(settings)
    _disturb_batches(*settings.get("slow", (-1, 0.0)))
    _fill_disk(*settings.get("full", (-1, 0)))


def _disturb_steps(settings: dict[str, Any]) -> None:
    before = Trainer.step

    def at(name: str, step: int) -> bool:
        return IS_FIRST_TIME and settings.get(name) == [RANK, step]

    def step(self: Trainer, batch: Any, step: int, *more: Any) -> Any:
        time.sleep(settings.get("pause", 0.0))
        path, when = settings.get("mark", ("", -1))
        if RANK == 0 and step == when:
            Path(path).touch()
        if at("kill", step):
            os.kill(os.getpid(), signal.SIGKILL)
        if at("interrupt", step):
            signal.raise_signal(signal.SIGTERM)  # SIGINT may be ignored where tests run in the background
        return before(self, batch, step, *more)

    Trainer.step = step  # type: ignore[method-assign]


def _disturb_batches(rank: int, seconds: float) -> None:
    before = TrainLoader._batch

    def batch(self: TrainLoader, *which: Any) -> Any:
        time.sleep(seconds)
        return before(self, *which)

    if rank == RANK:
        TrainLoader._batch = batch  # type: ignore[method-assign]


def _fill_disk(rank: int, step: int) -> None:
    before = saver.save_checkpoint

    def save(folder: Path, progress: Any, *tensors: Any) -> None:
        if progress.step >= step:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "checkpoint.pt"))
        before(folder, progress, *tensors)

    if rank == RANK:
        saver.save_checkpoint = run.save_checkpoint = save


if __name__ == "__main__":
    disturb(json.loads(sys.argv.pop(1)))
    sys.exit(main())
