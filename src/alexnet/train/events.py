"""A run's measurements for TensorBoard, where it is installed: many watch their runs with it."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from time import time
from typing import Any

from alexnet.train.observer import Observer

_NOT_MEASURED = {"step", "epoch", "split", "views"}

Write = Callable[[Any], None]  # one event, written and flushed


class EventLog:
    """An event file in the run folder, `SPLIT/NAME` by step.

    Without TensorBoard, or where it fails, nothing is written: no run ends for want of a second copy of its numbers.
    """

    def __init__(self, folder: Path, observer: Observer, *, step: int = 0) -> None:
        """What an interrupted run had written of later steps than `step` is hidden by what comes now."""
        self._observer = observer
        self._write: Write | None = None
        self._guarded(lambda: self._open(folder, step))

    def add(self, record: Mapping[str, Any]) -> None:
        """Every measured value of a record of metrics.jsonl."""
        if self._write:
            self._guarded(lambda: self._add(record))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a full disk, or another version of TensorBoard than we know
            self._write = None
            self._observer.say(f"no more events for TensorBoard ({error}); metrics.jsonl has all measurements")

    def _open(self, folder: Path, step: int) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            return
        path = folder / f"events.out.tfevents.{time():.0f}.{socket.gethostname()}.{os.getpid()}"

        def write(event: Event) -> None:
            event.wall_time = time()
            with path.open("ab") as file:
                RecordWriter(file).write(event.SerializeToString())

        write(Event(file_version="brain.Event:2"))
        write(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
        self._write = write

    def _add(self, record: Mapping[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        assert self._write is not None
        values = [
            Summary.Value(tag=f"{record['split']}/{name}", simple_value=value)
            for name, value in record.items()
            if name not in _NOT_MEASURED and value is not None
        ]
        self._write(Event(step=record["step"], summary=Summary(value=values)))
