"""Whole runs of a small net, compared."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from alexnet.train.checkpoint import load_checkpoint
from alexnet.train.log import read_metrics
from alexnet.train.run import RunResult
from alexnet.train.saver import BEST, LAST

Begin = Callable[..., RunResult]


def interrupted(*_: object, progress: Callable[[int], None], **__: object) -> None:
    """Someone presses Ctrl-C while errors are measured."""
    signal.raise_signal(signal.SIGINT)
    progress(0)


def measured(folder: Path) -> list[dict[str, Any]]:
    """The records without what no two runs share."""
    return [{key: each[key] for key in each if key != "images_per_second"} for each in read_metrics(folder)]


def assert_same_run(one: Path, other: Path) -> None:
    """Bit for bit the same weights, velocities and progress, and the same measurements on the way."""
    for name in (LAST, BEST):
        ours, theirs = (load_file(folder / name) for folder in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours), name
    (progress, *ours), (other_progress, *theirs) = (load_checkpoint(folder) for folder in (one, other))
    assert progress == other_progress
    for tensors, others in zip(ours, theirs, strict=True):
        assert all(np.array_equal(tensors[key], others[key]) for key in tensors)
    assert measured(one) == measured(other)
