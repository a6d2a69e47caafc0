"""The run's measurements: one JSON record a line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole

METRICS = "metrics.jsonl"

_ALWAYS = {"step", "epoch", "split"}  # keys of every record


class MetricsLog:
    """`metrics.jsonl` of a run folder, appended to as the run goes."""

    def __init__(self, folder: Path, *, step: int = 0, epochs: int = 0) -> None:
        """Keep the records up to `step`, and the errors of `epochs`: a resumed run will make the others again."""
        self.path = folder / METRICS
        kept = [
            record
            for record in read_metrics(folder)
            if record["step"] <= step and (record["split"] == "train" or record["epoch"] <= epochs)
        ]
        with write_whole(self.path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it has a `step`, an `epoch`, a `split` and measured values."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run folder, oldest first, up to a line that is none, such as one cut by a crash."""

    def records() -> Iterator[dict[str, Any]]:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                return
            if not (isinstance(record, dict) and record.keys() >= _ALWAYS):
                return
            yield record

    path = folder / METRICS
    return list(records()) if path.is_file() else []


def training_errors(records: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """By epoch, from 1: the mean running training error, of the answers that are given before each update."""
    of_training = (record for record in records if record["split"] == "train")
    found = {}
    for epoch, group in groupby(of_training, key=lambda record: int(record["epoch"])):
        errors = [float(record["top1_error"]) for record in group]
        found[epoch] = sum(errors) / len(errors)
    return found
