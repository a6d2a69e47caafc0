"""How a net is laid out over the devices and processes of a run; what comes out is the same but for rounding.

- `WholeNet`: one device has all of it, and all images of a step.
- `DataParallel`: so has every process, but only its share of the images; gradients are added up.
- `Towers`: every part has its share of each row, and all images (paper, sec. 3.2).
- `OneWeirdTrick`: below the first fc row as in `DataParallel`, from there on as in `Towers`: the convolutions have most
  of the work and few weights, the fc rows most of the weights and little work (Krizhevsky 2014, arXiv 1404.5997).
"""

from collections.abc import Iterable
from typing import Literal

import torch

from alexnet.arch.towers import TOWERS
from alexnet.errors import InputError, SpecError
from alexnet.nn import Net
from alexnet.nn.exchange import BetweenDevices, BetweenProcesses, Exchange
from alexnet.train.in_parts import OneWeirdTrick, Towers
from alexnet.train.layout import DataParallel, Layout, WholeNet
from alexnet.train.mesh import mesh_of
from alexnet.train.ranks import Ranks

Parallel = Literal["data", "towers", "one-weird-trick"]


def lay_out(parallel: Parallel, net: Net, sides: Iterable[int], ranks: Ranks, device: torch.device) -> Layout:
    """`net` over the processes of a run, each of which has `device`; `sides`: the sizes of images that it will see.

    Two towers are two processes, or one with two devices (on a CPU with one, twice).

    Raises:
        InputError: so many processes, or devices, as this way cannot use.
        SpecError: a net that cannot be parted in this way.
    """
    others = sorted(set(sides) - {net.spec.input[1]})
    match parallel:
        case "data":
            return (
                DataParallel(net, device, others, group=ranks.group) if ranks.group else WholeNet(net, device, others)
            )
        case "towers":
            try:
                return Towers(net, _between_two(ranks, device), others)
            except SpecError as error:
                raise SpecError(f"--parallel towers cannot have this net: {error}; data can") from None
        case "one-weird-trick" if ranks.group:
            return OneWeirdTrick(net, device, others, group=ranks.group, mesh=mesh_of(ranks, device))
        case _:
            raise InputError(
                "--parallel one-weird-trick takes several processes: torchrun --nproc-per-node 2 -m alexnet train ..."
            )


def _between_two(ranks: Ranks, device: torch.device) -> Exchange:
    if ranks.group and ranks.count == TOWERS:
        return BetweenProcesses(ranks.group, device)
    if ranks.group:
        raise InputError(f"--parallel towers takes two processes, or one, not {ranks.count}")
    return BetweenDevices(_two_of(device))


def _two_of(device: torch.device) -> tuple[torch.device, ...]:
    """Raises InputError where there is one alone."""
    if device.type != "cuda":
        return (device, device)
    if torch.cuda.device_count() < TOWERS:
        raise InputError("--parallel towers takes two CUDA devices, of which this machine has one; add --device cpu")
    return tuple(torch.device("cuda", number) for number in range(TOWERS))
