"""The run's measurements: one JSON record a line, and a picture of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
from alexnet.errors import MissingExtraError

METRICS = "metrics.jsonl"
CURVES = "curves.png"


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


def draw_curves(folder: Path, chance_loss: float) -> Path:
    """Loss and errors over steps as `curves.png`; `chance_loss` (ln of the number of classes) is drawn as a line.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError("matplotlib", "plot") from None
    records = read_metrics(folder)
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, errors = figure.subplots(1, 2)
    splits = sorted({record["split"] for record in records}, key=lambda split: split != "train")
    for split in splits:
        rows = [record for record in records if record["split"] == split]
        steps = [record["step"] for record in rows]
        style = "-" if split == "train" else "o-"
        losses.plot(steps, [record["loss"] for record in rows], style, label=split, markersize=4)
        for key, name in (("top1_error", "top-1"), ("top5_error", "top-5")):
            if rows and rows[0].get(key) is not None:
                errors.plot(steps, [record[key] for record in rows], style, label=f"{split} {name}", markersize=4)
    losses.axhline(chance_loss, color="grey", linewidth=1, linestyle="--", label="chance")
    losses.set(xlabel="step", ylabel="loss (nats)")
    errors.set(xlabel="step", ylabel="error", ylim=(0, 1))
    for axes in (losses, errors):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    with write_whole(folder / CURVES) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return folder / CURVES
