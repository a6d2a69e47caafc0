"""Random numbers of a row, the same whether all of a step is worked on in one place or in parts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from alexnet.spans import Span

Draw = Callable[[torch.Size], Tensor]


class Drawing(nn.Module):
    """A row that draws: always for all images of the step and all outputs of the row, of which it takes its own.

    Processes, devices and passes that begin with the same state of the generator so draw what one would have drawn.
    `images`, `outputs`: which of the step's images, and of the row's outputs, are worked on here; None: all.
    """

    images: Span | None = None
    outputs: Span | None = None

    def drawn(self, draw: Draw, shape: torch.Size) -> Tensor:
        """What `draw` gives for the whole, at our place: a tensor of `shape` (images, outputs, ...)."""
        whole = list(shape)
        places = [(dim, span) for dim, span in enumerate((self.images, self.outputs)) if span]
        for dim, span in places:
            whole[dim] = span.total
        found = draw(torch.Size(whole))
        for dim, span in places:
            found = found.narrow(dim, span.start, span.size)
        return found


def set_images(net: nn.Module, images: Span | None) -> None:
    """Tell every drawing row of `net` which of a step's images it is about to see."""
    for module in net.modules():
        if isinstance(module, Drawing):
            module.images = images


@contextmanager
def kept_state(*devices: torch.device) -> Iterator[None]:
    """The states of the generators of `devices`, and of the CPU's, after the block are those before it."""
    with torch.random.fork_rng(devices=[device for device in devices if device.type == "cuda"]):
        yield
