"""How a net is laid out over the devices and processes of a run; what comes out is the same but for rounding.

- `WholeNet`: one device has all of it, and all images of a step.
- `DataParallel`: so has every process, but only its share of the images; gradients are added up.
- `Towers`: every part has its share of each row, and all images (paper, sec. 3.2).
- `OneWeirdTrick`: below the first fc row as in `DataParallel`, from there on as in `Towers`: the convolutions have most
  of the work and few weights, the fc rows most of the weights and little work (Krizhevsky 2014, arXiv 1404.5997).
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from alexnet.arch.cut import at_first_fc
from alexnet.arch.smaller import smaller
from alexnet.arch.spec import Spec
from alexnet.arch.towers import TOWERS
from alexnet.errors import InputError
from alexnet.nn import Net
from alexnet.nn.build import assemble
from alexnet.nn.drawing import set_draws
from alexnet.nn.exchange import BetweenDevices, BetweenProcesses, Exchange
from alexnet.nn.layers import use_channels_last
from alexnet.nn.towers import Pieces, TowerNet, Trunk, cut_tensors, join_tensors
from alexnet.spans import Span
from alexnet.train.mesh import DEVICES, MACHINES, mesh_of
from alexnet.train.ranks import Ranks
from alexnet.train.share import Share
from alexnet.train.summed import SummedGradients

Parallel = Literal["data", "towers", "one-weird-trick"]
Tensors = Mapping[str, Tensor]


class _InTwo(nn.Module):
    """A net of which the fc rows are in parts."""

    def __init__(self, spec: Spec, trunk: Trunk, head: TowerNet) -> None:
        super().__init__()
        self.spec, self.trunk, self.head = spec, trunk, head


class Layout:
    """A net on its devices. `module` has its parameters, which names of rows end the names of (`conv1.weight`).

    `nets`: what gives logits, by the side of the images; all around the same parameters.
    `divides_images`: whether each process has its share of a step's images, or all of them. `takes_passes`: whether a
    step may see its images in several passes. `may_compile`: whether a step is the same work every time, with nobody to
    wait for.
    """

    divides_images = False
    way = ""  # to share the work, in words
    takes_passes = True
    may_compile = False

    def __init__(self, module: Net | TowerNet | _InTwo, nets: Mapping[int, nn.Module]) -> None:
        self.module, self.nets = module, nets
        self.devices = tuple(dict.fromkeys(parameter.device for parameter in module.parameters()))

    @property
    def spec(self) -> Spec:
        """The whole net."""
        return self.module.spec

    def logits(self, x: Tensor, share: Share) -> Tensor:  # noqa: ARG002  some need it
        """Of the images whose labels `labels` gives: float32 or as autocast has it, (N, num_classes)."""
        logits: Tensor = self.nets[x.shape[-1]](x)
        return logits

    def set_draws(self, seed: Sequence[int], images: Span, share: Share) -> None:  # noqa: ARG002  some need it
        """What rows draw next follows from `seed`; `images`: which of the step's the nets will see."""
        for net in self.nets.values():
            set_draws(net, seed, images, self.devices[0])

    def labels(self, labels: Tensor, share: Share) -> Tensor:  # noqa: ARG002  some need it
        """Of the images whose logits this process has, from those of its own images."""
        return labels

    def totals(self, loss: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and wrong answers of the step, from those that this process has found."""
        return loss, wrong

    def more_to_come(self) -> AbstractContextManager[Any]:
        """Within it gradients stay where they are: another pass of the same step follows."""
        return nullcontext()

    def sums(self, values: Tensors) -> dict[str, Tensor]:
        """By name in the whole net, what `values`, by the names of `module`'s parameters, come to in all parts."""
        return dict(values)

    def join(self, pieces: Tensors) -> dict[str, Tensor]:
        """The tensors of the whole net from those by the names of `module`'s parameters; all processes must call it."""
        return dict(pieces)

    def split(self, tensors: Tensors) -> dict[str, Tensor]:
        """What `module` has of the tensors of the whole net."""
        return dict(tensors)


class WholeNet(Layout):
    """All of a net on one device; `sides`: the other sizes of images that it is to take, see `alexnet.arch.smaller`."""

    may_compile = True

    def __init__(self, net: Net, device: torch.device, sides: Sequence[int] = ()) -> None:
        net = net.to(device)
        use_channels_last(net)
        parameters = dict(net.named_parameters())
        others = {side: assemble(spec, parameters) for side, spec in _smaller(net.spec, sides).items()}
        super().__init__(net, {net.spec.input[1]: net} | others)


class DataParallel(WholeNet):
    """The whole net in every process of `group`, which see different images."""

    divides_images, may_compile, way = True, False, "data parallel"

    def __init__(self, net: Net, device: torch.device, sides: Sequence[int] = (), *, group: dist.ProcessGroup) -> None:
        super().__init__(net, device, sides)
        self._group, self._summed = group, SummedGradients(self.nets, group)

    def logits(self, x: Tensor, share: Share) -> Tensor:  # noqa: ARG002
        """Of this process's images."""
        return self._summed(x)

    def totals(self, loss: Tensor, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """Added up over the processes."""
        return _totals(loss, wrong, self._group)

    def more_to_come(self) -> AbstractContextManager[Any]:
        """Gradients are added up over the processes once, in the last pass."""
        return self._summed.alone()


class Towers(Layout):
    """The parts of a net that `exchange` knows, each with all images."""

    way = "two towers"

    def __init__(self, net: Net, exchange: Exchange, sides: Sequence[int] = ()) -> None:
        self._exchange = exchange
        pieces = _as_parameters(cut_tensors(net.spec, exchange, net.state_dict()))
        specs = {net.spec.input[1]: net.spec} | _smaller(net.spec, sides)
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
        specs = {net.spec.input[1]: net.spec} | _smaller(net.spec, sides)
        trunks = {side: Trunk(spec, at_first_fc(spec).last, weights) for side, spec in specs.items()}
        use_channels_last(trunks[net.spec.input[1]])
        self._summed = SummedGradients(trunks, group)
        heads = {self._head_spec.input[2]: self._head}
        self._summed_head = SummedGradients(heads, self._alike) if self._alike.size() > 1 else self._head
        self._in_trunk = in_trunk
        super().__init__(_InTwo(net.spec, trunks[net.spec.input[1]], self._head), trunks)

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
        return _totals(loss, wrong, self._alike)

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
        case "towers" if ranks.group and ranks.count == TOWERS:
            return Towers(net, BetweenProcesses(ranks.group, device), others)
        case "towers" if not ranks.group:
            return Towers(net, BetweenDevices(_two_of(device)), others)
        case "towers":
            raise InputError(f"--parallel towers takes two processes, or one, not {ranks.count}")
        case "one-weird-trick" if ranks.group:
            return OneWeirdTrick(net, device, others, group=ranks.group, mesh=mesh_of(ranks, device))
        case _:
            raise InputError(
                "--parallel one-weird-trick takes several processes: torchrun --nproc-per-node 2 -m alexnet train ..."
            )


def _totals(loss: Tensor, wrong: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, Tensor]:
    both = torch.stack([loss.double(), wrong.double()])
    dist.all_reduce(both, group=group)
    return both[0].to(loss.dtype), both[1].long()


def _two_of(device: torch.device) -> tuple[torch.device, ...]:
    """Raises InputError where there is one alone."""
    if device.type != "cuda":
        return (device, device)
    if torch.cuda.device_count() < TOWERS:
        raise InputError("--parallel towers takes two CUDA devices, of which this machine has one; add --device cpu")
    return tuple(torch.device("cuda", number) for number in range(TOWERS))


def _smaller(spec: Spec, sides: Iterable[int]) -> dict[int, Spec]:
    """The net at the other sizes of images, by their side."""
    return {side: smaller(spec, side) for side in sides}


def _key(name: str) -> str:
    """`conv1.weight` of any name that ends so."""
    return ".".join(name.split(".")[-2:])


def _parted(tensors: Tensors, first: Container[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Those whose names begin with one of `first`, and the others."""
    above = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] in first}
    return above, {name: tensor for name, tensor in tensors.items() if name not in above}


def _added(values: Tensors, exchange: Exchange) -> dict[str, Tensor]:
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
