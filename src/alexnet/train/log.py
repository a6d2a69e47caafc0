"""The run's measurements: one JSON record a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole

METRICS = "metrics.jsonl"


class MetricsLog:
    """`metrics.jsonl` of a run folder, appended to as the run goes."""

    def __init__(self, folder: Path, *, keep_until_step: int = 0) -> None:
        """Drop records after `keep_until_step`: a resumed run will make them again."""
        self.path = folder / METRICS
        kept = [record for record in read_metrics(folder) if record["step"] <= keep_until_step]
        with write_whole(self.path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))

    def add(self, record: dict[str, Any]) -> None:
        """Append one record; it has a `step`, a `split` and measured values."""
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The records of a run folder, oldest first; a last line cut by a crash is left out."""

    def records() -> Iterator[dict[str, Any]]:
        for line in path.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return

    path = folder / METRICS
    return list(records()) if path.is_file() else []
