"""A run's measurements for TensorBoard, where it is installed: many watch their runs with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NOT_MEASURED = {"step", "epoch", "split", "views"}


class EventLog:
    """Event files in the run folder, `SPLIT/NAME` by step; without TensorBoard nothing is written."""

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        """What an interrupted run had written of later steps than `step` is hidden by what comes now."""
        self._writer = _open_writer(folder, step)

    def add(self, record: Mapping[str, Any]) -> None:
        """Every measured value of a record of metrics.jsonl."""
        if self._writer is None:
            return
        for name, value in record.items():
            if name not in _NOT_MEASURED and value is not None:
                self._writer.add_scalar(f"{record['split']}/{name}", value, record["step"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is left, and end the writer's thread."""
        if self._writer is not None:
            self._writer.close()


def _open_writer(folder: Path, step: int) -> "SummaryWriter | None":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
