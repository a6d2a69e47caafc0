"""How the parts of a net, on devices of one process or in processes of their own, come by what the others have found.

What is gathered goes on in one of two ways, and its gradient with it. Where every part makes something else of the
whole, the gradients that the parts find for it are added up, and each takes back its share (`gather`). Where all go on
alike, each has the whole gradient already (`gather_alike`).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from alexnet.spans import Span


class Exchange(Protocol):
    """What parts are here, of how many, and how they reach the others.

    `pieces`: of each part that is here, in order, what it has of the whole, cut along `dim` into `spans`, of which
    there is one for every part.
    """

    @property
    def num_parts(self) -> int:
        """How many there are."""

    @property
    def here(self) -> Sequence[int]:
        """Which of them are in this process."""

    @property
    def devices(self) -> Sequence[torch.device]:
        """Where each of those is."""

    def gather(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> list[Tensor]:
        """The whole, for each part that is here."""

    def gather_alike(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> Tensor:
        """The whole, for all that follows the parts, on the first device."""

    def total(self, values: Tensor) -> Tensor:
        """What `values`, those of the parts here added up already, come to in all parts. Without a gradient."""


class BetweenDevices:
    """All parts are in this process, each on its device; what crosses is copied, and autograd knows the way back."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self.num_parts, self.here, self.devices = len(devices), range(len(devices)), tuple(devices)

    def gather(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> list[Tensor]:  # noqa: ARG002
        """The whole, on every device."""
        return [_laid(pieces, dim, device) for device in self.devices]

    def gather_alike(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> Tensor:  # noqa: ARG002
        """The whole, on the first device."""
        return _laid(pieces, dim, self.devices[0])

    def total(self, values: Tensor) -> Tensor:
        """As they are: all parts are here."""
        return values


class BetweenProcesses:
    """One part is in this process, the others in those of `group`."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device) -> None:
        self.group, self.devices = group, (device,)
        self.num_parts, self.here = group.size(), (group.rank(),)

    def gather(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> list[Tensor]:
        """The whole, in every process."""
        return [_Gathered.apply(pieces[0], spans, dim, self.group, False)]  # type: ignore[no-untyped-call]

    def gather_alike(self, pieces: Sequence[Tensor], spans: Sequence[Span], dim: int = 1) -> Tensor:
        """The whole, in every process."""
        whole: Tensor = _Gathered.apply(pieces[0], spans, dim, self.group, True)  # type: ignore[no-untyped-call]
        return whole

    def total(self, values: Tensor) -> Tensor:
        """Added up over the processes."""
        values = values.clone()
        dist.all_reduce(values, group=self.group)
        return values


def _laid(pieces: Sequence[Tensor], dim: int, device: torch.device) -> Tensor:
    # non_blocking: the host goes on to start the work of the other devices.
    return torch.cat([piece.to(device, non_blocking=True) for piece in pieces], dim)


class _Gathered(torch.autograd.Function):
    """All-gather forwards; backwards a reduce-scatter, or where all go on `alike` our own share of the gradient.

    Pieces travel with their channels last, as convolutions have them in memory, and padded to the largest: not every
    backend takes pieces of different sizes.
    """

    @staticmethod
    def forward(
        ctx: Any, piece: Tensor, spans: Sequence[Span], dim: int, group: dist.ProcessGroup, alike: bool
    ) -> Tensor:
        ctx.spans, ctx.dim, ctx.group, ctx.alike = spans, dim, group, alike
        axis, most = _axis(piece, dim), max(span.size for span in spans)
        ours = _padded(_channels_last(piece), axis, most)
        found = [torch.empty_like(ours) for _ in spans]
        dist.all_gather(found, ours, group)
        whole = torch.cat([each.narrow(axis, 0, span.size) for each, span in zip(found, spans, strict=True)], axis)
        return _channels_second(whole)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        spans, dim, group = ctx.spans, ctx.dim, ctx.group
        own = spans[group.rank()]
        if ctx.alike:
            return gradient.narrow(dim, own.start, own.size), None, None, None, None
        axis, most = _axis(gradient, dim), max(span.size for span in spans)
        whole = _channels_last(gradient)
        shares = [_padded(whole.narrow(axis, span.start, span.size), axis, most) for span in spans]
        total = torch.empty_like(shares[0])
        dist.reduce_scatter(total, shares, group=group)
        return _channels_second(total.narrow(axis, 0, own.size)), None, None, None, None


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.movedim(1, -1) if tensor.ndim > 2 else tensor


def _channels_second(tensor: Tensor) -> Tensor:
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor


def _axis(tensor: Tensor, dim: int) -> int:
    """Where dimension `dim` is once the channels, dimension 1, have been moved last."""
    return dim if dim == 0 else tensor.ndim - 1


def _padded(tensor: Tensor, axis: int, size: int) -> Tensor:
    """Contiguous, of `size` along `axis`."""
    if tensor.shape[axis] == size:
        return tensor.contiguous()
    shape = list(tensor.shape)
    shape[axis] = size
    padded = tensor.new_zeros(shape)
    padded.narrow(axis, 0, tensor.shape[axis]).copy_(tensor)
    return padded
