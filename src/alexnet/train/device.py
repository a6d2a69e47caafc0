"""Which device and which number format a run uses."""

import torch

from alexnet.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(name: str, number: int | None = None) -> torch.device:
    """`name` as a device, `auto` being the accelerator where there is one, and with a `number` that one of its kind.

    Raises:
        InputError: this machine or this torch has no such device.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if available[kind]), "cpu")
    if name not in available:
        raise InputError(f"--device {name}: choose one of {', '.join(DEVICES)}")
    if not available[name]:
        raise InputError(f"--device {name}: torch {torch.__version__} finds none here; use --device auto")
    if name != "cuda" or number is None:
        return torch.device(name)
    if number >= (count := torch.cuda.device_count()):
        raise InputError(f"this machine has {count} CUDA devices, and no number {number}; start a process for each")
    return torch.device(name, number)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype that convolutions and matrix products run in; `auto` is bf16 where the hardware multiplies it fast.

    Raises:
        InputError: no such precision.
    """
    if name not in PRECISIONS:
        raise InputError(f"--precision {name}: choose one of {', '.join(PRECISIONS)}")
    if name == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    return torch.bfloat16 if name == "bf16" else torch.float32


def has_fast_bf16(device: torch.device) -> bool:
    """Does the hardware multiply bf16 faster than float32?"""
    match device.type:
        case "cuda":
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        case "cpu":
            capabilities = torch.cpu.get_capabilities()
            return any(capabilities.get(unit, False) for unit in ("avx512_bf16", "amx_bf16", "bf16"))
        case _:
            return False
