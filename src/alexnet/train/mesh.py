"""The processes of a run as machines of as many devices each; exchanges within a machine are the faster ones."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from alexnet.train.ranks import STEPPING, Ranks

MACHINES, DEVICES = "machines", "devices"


def mesh_of(ranks: Ranks, device: torch.device) -> DeviceMesh:
    """A mesh (machines, devices); one machine of all where each has one process, or they have different numbers.

    All processes must call it, and there must be several.
    """
    numbers = torch.arange(ranks.count).view(-1, ranks.on_each_machine())
    groups = [_own(lines, ranks.rank) for lines in (numbers.T, numbers)]
    return DeviceMesh.from_group(groups, device.type, numbers, mesh_dim_names=(MACHINES, DEVICES))


def _own(lines: torch.Tensor, rank: int) -> dist.ProcessGroup:
    """Of groups of a mesh's processes, that with `rank`; all are made, by all."""
    groups: list[dist.ProcessGroup] = [dist.new_group(line, timeout=STEPPING) for line in lines.tolist()]
    return next(group for group, line in zip(groups, lines.tolist(), strict=True) if rank in line)
