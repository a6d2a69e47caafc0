"""On what something is computed, as the makers call it."""

import platform
from pathlib import Path
from typing import Any


def describe_machine(device: str) -> dict[str, Any]:
    """This machine as plain JSON; `device` as `--device` takes it.

    Raises:
        InputError: this machine has no such device.
    """
    from alexnet.train.device import pick_device

    where = str(pick_device(device))
    return {"python": platform.python_version(), "device": where, "processor": _processor(where)}


def precision_of(device: str) -> str:
    """What runs compute in on `device` where nobody says otherwise: bf16 or fp32.

    Raises:
        InputError: this machine has no such device.
    """
    from alexnet.train.device import has_fast_bf16, pick_device

    return "bf16" if has_fast_bf16(pick_device(device)) else "fp32"


def _processor(device: str) -> str:
    """The GPU, else the processor."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
