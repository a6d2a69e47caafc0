"""A net of which every device or process has a part: all of it, as in 2012, or its fc rows alone."""

from collections.abc import Container, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from alexnet.arch.cut import at_first_fc
from alexnet.nn import Net
from alexnet.nn.exchange import BetweenProcesses, Exchange
from alexnet.nn.layers import use_channels_last
from alexnet.nn.towers import Pieces, TowerNet, Trunk, TrunkAndHead, cut_tensors, join_tensors
from alexnet.spans import Span
from alexnet.train.layout import Layout, Tensors, added_up, other_sizes
from alexnet.train.mesh import DEVICES, MACHINES
from alexnet.train.share import Share
from alexnet.train.summed import SummedGradients


class Towers(Layout):
    """The parts of a net that `exchange` knows, each with all images."""

    way = "two towers"

    def __init__(self, net: Net, exchange: Exchange, sides: Sequence[int] = ()) -> None:
        self._exchange = exchange
        pieces = _as_parameters(cut_tensors(net.spec, exchange, net.state_dict()))
        specs = {net.spec.input[1]: net.spec} | other_sizes(net.spec, sides)
        nets = {side: TowerNet(spec, exchange, pieces) for side, spec in specs.items()}
        super().__init__(nets[net.spec.input[1]], nets)
        self._towers = tuple(nets.values())

    def set_draws(self, seed: Sequence[int], images: Span, share: Share) -> None:  # noqa: ARG002
        """Of every part, on its device."""
        for net in self._towers:
            net.set_draws(seed, images)

    def sums(self, values: Tensors) -> dict[str, Tensor]:
        """Of all parts."""
        return _added(values, self._exchange)

    def join(self, pieces: Tensors) -> dict[str, Tensor]:
        """Those of all parts, laid together."""
        return join_tensors(self.spec, self._exchange, _by_key(pieces))

    def split(self, tensors: Tensors) -> dict[str, Tensor]:
        """The shares of the parts that are here."""
        return _by_part(cut_tensors(self.spec, self._exchange, tensors))


class OneWeirdTrick(Layout):
    """Convolutions whole in every process, for its own images; fc rows in parts, for the images of all.

    Over several machines, as `mesh` has them (see `alexnet.train.mesh`), each has all parts of the fc rows, for the
    images of its own processes: gradients of a part, a share of all weights, are less than the activations of all.
    """

    divides_images, takes_passes, way = True, False, "one weird trick"

    def __init__(
        self, net: Net, device: torch.device, sides: Sequence[int] = (), *, group: dist.ProcessGroup, mesh: DeviceMesh
    ) -> None:
        self._exchange = BetweenProcesses(mesh.get_group(DEVICES), device)
        self._alike = mesh.get_group(MACHINES)  # those with the same part
        in_trunk, _, self._head_spec = at_first_fc(net.spec)
        above, below = _parted(net.to(device).state_dict(), in_trunk)
        weights = {name: nn.Parameter(tensor) for name, tensor in above.items()}
        self._head = TowerNet(
            self._head_spec, self._exchange, _as_parameters(cut_tensors(self._head_spec, self._exchange, below))
        )
        specs = {net.spec.input[1]: net.spec} | other_sizes(net.spec, sides)
        trunks = {side: Trunk(spec, at_first_fc(spec).last, weights) for side, spec in specs.items()}
        use_channels_last(trunks[net.spec.input[1]])
        self._summed = SummedGradients(trunks, group)
        heads = {self._head_spec.input[2]: self._head}
        self._summed_head = SummedGradients(heads, self._alike) if self._alike.size() > 1 else self._head
        self._in_trunk = in_trunk
        super().__init__(TrunkAndHead(net.spec, trunks[net.spec.input[1]], self._head), trunks)

    def logits(self, x: Tensor, share: Share) -> Tensor:
        """Of the images of all processes of this machine."""
        maps = self._exchange.gather([self._summed(x)], self._here(share).spans, 0)[0]
        logits: Tensor = self._summed_head(maps)
        return logits

    def set_draws(self, seed: Sequence[int], images: Span, share: Share) -> None:
        """`images`: those that this process's trunk will see; the head sees those of its machine."""
        super().set_draws(seed, images, share)
        here = self._here(share)
        self._head.set_draws(seed, Span(images.start - here.own.start, here.total, share.total))

    def labels(self, labels: Tensor, share: Share) -> Tensor:
        """Of the images of all processes of this machine."""
        return self._exchange.gather_alike([labels[:, None]], self._here(share).spans, 0)[:, 0]

    def totals(self, loss: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """Added up over the machines."""
        return added_up(loss, wrong, self._alike)

    def _here(self, share: Share) -> Share:
        """Of this machine alone."""
        first = share.rank - share.rank % self._exchange.num_parts
        return Share(share.sizes[first : first + self._exchange.num_parts], share.rank - first)

    def sums(self, values: Tensors) -> dict[str, Tensor]:
        """Those of the trunk, and of all parts of the head."""
        above, below = _parted(values, ("trunk",))
        return {_key(name): value for name, value in above.items()} | _added(below, self._exchange)

    def join(self, pieces: Tensors) -> dict[str, Tensor]:
        """The trunk's as they are, and those of all parts of the head laid together."""
        above, below = _parted(pieces, ("trunk",))
        whole = {_key(name): tensor for name, tensor in above.items()}
        return whole | join_tensors(self._head_spec, self._exchange, _by_key(below))

    def split(self, tensors: Tensors) -> dict[str, Tensor]:
        """The trunk's, and this process's share of the head's."""
        above, below = _parted(tensors, self._in_trunk)
        parts = _by_part(cut_tensors(self._head_spec, self._exchange, below))
        return {f"trunk.{name}": tensor for name, tensor in above.items()} | {
            f"head.{name}": tensor for name, tensor in parts.items()
        }


def _key(name: str) -> str:
    """`conv1.weight` of any name that ends so."""
    return ".".join(name.split(".")[-2:])


def _parted(tensors: Tensors, first: Container[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Those whose names begin with one of `first`, and the others."""
    above = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] in first}
    return above, {name: tensor for name, tensor in tensors.items() if name not in above}


def _added(values: Tensors, exchange: Exchange) -> dict[str, Tensor]:
    if not values:
        return {}
    first = exchange.devices[0]
    found = {key: torch.stack([value.to(first) for value in parts]).sum(0) for key, parts in _by_key(values).items()}
    total = exchange.total(torch.stack(list(found.values())))
    return dict(zip(found, total, strict=True))


def _as_parameters(pieces: Mapping[str, Sequence[Tensor]]) -> Pieces:
    """Laid out in memory as `use_channels_last` does."""
    return {
        name: tuple(
            nn.Parameter(part.contiguous(memory_format=torch.channels_last) if part.ndim == 4 else part)
            for part in parts
        )
        for name, parts in pieces.items()
    }


def _by_key(pieces: Tensors) -> dict[str, list[Tensor]]:
    """By the name in the whole net, those of the parts here, in order; they are called `parts.0.conv1.weight`."""
    found: dict[str, list[Tensor]] = {}
    for name, tensor in pieces.items():
        found.setdefault(_key(name), []).append(tensor)
    return found


def _by_part(pieces: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """The inverse of `_by_key`."""
    return {f"parts.{place}.{name}": part for name, parts in pieces.items() for place, part in enumerate(parts)}
