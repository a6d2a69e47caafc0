"""What a trial found, in words, and the setting without which its numbers would mean nothing."""

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.finding import Effect
from alexnet.weights.catalog import RUN_FILE

_FORMATS = {"points": "{:+.2f}", "times": "{:.2f}", "share": "{:+.3f}"}
_UNITS = {"points": " points", "times": " times", "share": ""}


def describe_effects(effects: Sequence[Effect]) -> str:
    """Every effect with its interval and what would have been seen, one after the other."""
    return "; ".join(map(describe_effect, effects))


def describe_effect(effect: Effect) -> str:
    """`without LRN: top-1 +1.31 points (+0.42 to +2.20; 1.3 would be seen in 80 % of such trials)`."""
    number = _FORMATS[effect.unit].format
    more = []
    if effect.low is not None and effect.high is not None:
        more.append(f"{number(effect.low)} to {number(effect.high)}")
    if effect.detectable is not None:
        more.append(f"{effect.detectable:.2g} would be seen in 80 % of such trials")
    inside = f" ({'; '.join(more)})" if more else ""
    return f"{effect.what} {number(effect.value)}{_UNITS[effect.unit]}{inside}"


def describe_training(study: Study, folder: Path, **more: Any) -> dict[str, Any]:
    """The setting of runs such as the one in `folder`, as plain JSON."""
    kept = json.loads((folder / RUN_FILE).read_text("utf-8"))
    options, setting = kept["options"], study.setting
    return {
        **describe_data(study),
        **more,
        "recipe": options["recipe"],
        "epochs": setting.epochs,
        "batch_size": options["batch_size"],
        "precision": options["precision"],
        "seeds": setting.seeds,
        "limit_train_batches": study.asked.limit_train_batches,
        "machine": kept["machine"] | {"processor": _processor(kept["machine"]["device"])},
    }


def describe_data(study: Study) -> dict[str, Any]:
    """On what errors were measured, as plain JSON."""
    held_out = study.held_out
    return {
        "data": study.dataset.name,
        "split": held_out,
        "images": len(study.dataset.split(held_out)),
        "views": "center",
    }


def describe_weights(study: Study, **more: Any) -> dict[str, Any]:
    """The setting of a look at weights that are there already, as plain JSON."""
    return {**describe_data(study), "weights": list(study.asked.weights), **more, "machine": describe_machine()}


def setting_line(setting: Mapping[str, Any]) -> str:
    """A setting in one line."""
    words = [f"{setting['data']} {setting['split']}, {setting['images']:,} images, {setting['views']} view"]
    machine = setting["machine"]
    if "net" in setting:
        words.append(f"{setting['net']}, recipe {setting['recipe']}, {_count(setting['epochs'], 'epoch')}")
        if limit := setting.get("limit_train_batches"):
            words.append(f"only {_count(limit, 'step')} an epoch")
        words.append(f"{_count(setting['seeds'], 'seed')}, {setting['precision']} on {machine['device']}")
    if "weights" in setting:
        words.append(f"weights {', '.join(setting['weights'])}")
    return "; ".join([*words, machine["processor"]])


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def describe_machine() -> dict[str, Any]:
    """This machine, where no run says on what it ran."""
    return {"python": platform.python_version(), "processor": _processor("cpu")}


def _processor(device: str) -> str:
    """The GPU, else the processor, as its maker calls it."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
