"""Gradients added up over the processes of a run, sent off while others are still being found."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel


class SummedGradients:
    """Nets around the same parameters, by the side of their images, whose gradients are added up over `group`.

    Parameters that are frozen when torch's DistributedDataParallel is made never learn with it, and it waits for those
    that are frozen later: where a recipe freezes some it is made anew.
    """

    def __init__(self, nets: Mapping[int, nn.Module], group: dist.ProcessGroup) -> None:
        self._nets, self._group = _BySide(nets), group
        self._learning: list[bool] = []
        self._parallel: DistributedDataParallel | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """What the net for images of this size gives."""
        found: Tensor = (self._ready() or self._nets)(x)
        return found

    def alone(self) -> AbstractContextManager[Any]:
        """Within it nothing is sent."""
        parallel = self._ready()
        return parallel.no_sync() if parallel else nullcontext()

    def _ready(self) -> DistributedDataParallel | None:
        learning = [parameter.requires_grad for parameter in self._nets.parameters()]
        if learning != self._learning:
            self._learning, self._parallel = learning, None  # first, for the one before takes its hooks along
            self._parallel = self._made() if any(learning) else None
        return self._parallel

    def _made(self) -> DistributedDataParallel:
        parallel = DistributedDataParallel(self._nets, process_group=self._group, gradient_as_bucket_view=True)
        parallel.register_comm_hook(self._group, _sum)
        return parallel


class _BySide(nn.Module):
    def __init__(self, nets: Mapping[int, nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict({str(side): net for side, net in nets.items()})

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.nets[str(x.shape[-1])](x)
        return found


def _sum(group: dist.ProcessGroup, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    """Added up, not averaged: every process's loss is already its share of the step's."""
    work = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    added: Future[Tensor] = work.get_future().then(lambda done: done.value()[0])
    return added
