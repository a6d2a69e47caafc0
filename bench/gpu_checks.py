"""Is it right on the device? Differences from the CPU, and how large they may be."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.nn import LocalResponseNorm, create
from alexnet.nn.pool import MaxPool2d
from alexnet.nn.same_map import SameMapNorm
from gpu_variants import on_device
from ours import CPU, NET, trainer_of

# Ours, by the type: some times what rounding comes to on a CPU. Of the net more, since a pool's maximum may be another.
LAYER_LIMITS = {"float32": 1e-4, "bfloat16": 0.02}
NET_LIMITS = {"float32": 0.01, "bfloat16": 0.2}


def too_far(errors: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """What is off by more than rounding; names end with the type."""
    return [what for what, error in errors.items() if not error <= limits[what.rpartition(" ")[2]]]


def far(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a part of the largest number."""
    found, exact = found.detach().cpu().double(), exact.detach().double()
    return float((found - exact).abs().max() / exact.abs().max())


def apart(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """The length of the difference, as a part of the length; of all tensors in one."""
    ours, theirs = (torch.cat([tensor.detach().flatten() for tensor in tensors]) for tensors in (found, exact))
    return float((ours - theirs).norm() / theirs.norm())


def check_layers(device: torch.device) -> dict[str, float]:
    """Values and gradients of each layer on the device, fp32 and bf16, against float64 on the CPU."""
    layers = {
        "lrn": LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2),
        "same-map norm": SameMapNorm(5, 1e-3, 0.75),
        "pool": MaxPool2d(3, 2, ceil_mode=True),
    }
    errors = {}
    for name, layer in layers.items():
        for dtype in (torch.float32, torch.bfloat16):
            x = (torch.randn(4, 96, 27, 27) * 50).to(dtype).contiguous(memory_format=torch.channels_last)
            exact, on_device = x.double().requires_grad_(), x.to(device).requires_grad_()
            y, expected = layer(on_device), layer(exact)
            weight = torch.randn_like(expected).to(dtype)
            (grad,) = torch.autograd.grad(y, on_device, weight.to(device))
            (wanted,) = torch.autograd.grad(expected, exact, weight.double())
            errors[f"{name} {str(dtype)[6:]}"] = max(far(y, expected), far(grad, wanted))
    return errors


def check_net(device: torch.device) -> dict[str, float]:
    """Logits, gradients and one update of net 145 without dropout, whose random numbers are each device's own."""
    batch, net = on_device(8, CPU), create(f"{NET}+no-dropout", seed=0)
    errors, trainers = {}, {}
    for where, dtype in (("cpu", torch.float32), (device.type, torch.float32), (device.type, torch.bfloat16)):
        twin = create(f"{NET}+no-dropout", seed=0)
        trainer = trainer_of(twin, torch.device(where), batch_size=8, dtype=dtype)
        trainer.net.eval()
        x = trainer.inputs(batch.images.to(where), dtype=dtype)
        with torch.autocast(where, dtype, enabled=dtype != torch.float32):
            logits = trainer.net(x).float()
        F.cross_entropy(logits, batch.labels.to(where)).backward()  # type: ignore[no-untyped-call]
        grads = [parameter.grad.cpu() for parameter in trainer.net.parameters() if parameter.grad is not None]
        trainer.optimizer.optimizer.zero_grad(set_to_none=True)
        trainer.step(batch, 0)  # compiled, on CUDA
        moved = [
            after.detach().cpu() - before for after, before in zip(twin.parameters(), net.parameters(), strict=True)
        ]
        trainers[where, dtype] = logits.detach().cpu(), *grads, *moved
    exact = trainers["cpu", torch.float32]
    for (where, dtype), found in trainers.items():
        half = 1 + (len(found) - 1) // 2
        for what, part in (("logits", slice(1)), ("gradients", slice(1, half)), ("update", slice(half, None))):
            errors[f"{what} {where} {str(dtype)[6:]}"] = apart(found[part], exact[part])
    return errors
