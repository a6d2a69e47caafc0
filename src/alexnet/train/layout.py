"""A net on the devices of a run, whole: on one, or in every process, which see different images."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from alexnet.arch.smaller import smaller
from alexnet.arch.spec import Spec
from alexnet.nn import Net
from alexnet.nn.build import assemble
from alexnet.nn.drawing import set_draws
from alexnet.nn.layers import use_channels_last
from alexnet.nn.towers import TowerNet, TrunkAndHead
from alexnet.spans import Span
from alexnet.train.share import Share
from alexnet.train.summed import SummedGradients

Tensors = Mapping[str, Tensor]


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

    def __init__(self, module: Net | TowerNet | TrunkAndHead, nets: Mapping[int, nn.Module]) -> None:
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
        others = {side: assemble(spec, parameters) for side, spec in other_sizes(net.spec, sides).items()}
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
        return added_up(loss, wrong, self._group)

    def more_to_come(self) -> AbstractContextManager[Any]:
        """Gradients are added up over the processes once, in the last pass."""
        return self._summed.alone()


def added_up(loss: Tensor, wrong: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, Tensor]:
    """Of a step, over the processes of `group`."""
    both = torch.stack([loss.double(), wrong.double()])
    dist.all_reduce(both, group=group)
    return both[0].to(loss.dtype), both[1].long()


def other_sizes(spec: Spec, sides: Iterable[int]) -> dict[int, Spec]:
    """The net at the other sizes of images, by their side."""
    return {side: smaller(spec, side) for side in sides}
