"""Loss and gradients of a batch: on CUDA a compiled net replayed as a graph, elsewhere and where that fails as written.

The compiler fuses what lies between two products and makes CUDA graphs of forward and backward, which the host starts
with one call each: at batch 128 the hundred launches of a step would take longer than their work. A batch of another
size, the last of an epoch, takes the plain way: every size would be a compilation of its own. A change of what the
graph contains is one: a recipe makes two or three, when it freezes rows or ends its colour noise.
"""

from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor

from alexnet.nn.fused import FirstOf, may_compile
from alexnet.train.share import Share

# Of images, labels, colour noise, its coefficient, and the share of the step that they are: what they add to the mean
# loss, and how many answers are wrong.
Loss = Callable[[Tensor, Tensor, Tensor | None, float, Share], tuple[Tensor, Tensor]]

# CUDA graphs; the kernels are those that the compiler chooses without trying many.
MODE = "reduce-overhead"


class Gradients:
    """`loss_of` that also leaves the gradients of `parameters` in them; what it gives is detached.

    `say` is told why the compiler failed, if it does: all goes on the plain way then.
    """

    def __init__(
        self,
        loss_of: Loss,
        parameters: Iterable[Tensor],
        *,
        compiles: bool,
        batch_size: int,
        say: Callable[[str], None],
    ) -> None:
        self._loss_of, self._parameters, self._batch_size = loss_of, list(parameters), batch_size
        self._graph = None
        if compiles and may_compile():
            # Sizes hardly vary: cuDNN tries its ways to convolve once and keeps the fastest.
            torch.backends.cudnn.benchmark = True
            self._graph = FirstOf(self._replayed, self._plain, "the net", say)

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        noise: Tensor | None,
        coefficient: float,
        share: Share,
        *,
        adds: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """(what they add to the mean loss, number of wrong answers). `adds`: gradients that are there are added to."""
        if self._graph and not adds and len(images) == self._batch_size:
            return self._graph(images, labels, noise, coefficient, share)
        return self._plain(images, labels, noise, coefficient, share, adds=adds)

    def _plain(
        self,
        images: Tensor,
        labels: Tensor,
        noise: Tensor | None,
        coefficient: float,
        share: Share,
        *,
        adds: bool = False,
    ) -> tuple[Tensor, Tensor]:
        if not adds:
            for parameter in self._parameters:
                parameter.grad = None  # of an attempt that failed half way
        loss, wrong = self._loss_of(images, labels, noise, coefficient, share)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), wrong

    def _replayed(
        self, images: Tensor, labels: Tensor, noise: Tensor | None, coefficient: float, share: Share
    ) -> tuple[Tensor, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        loss, wrong = self._compiled(images, labels, noise, coefficient, share)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach().clone(), wrong.clone()  # the graph's own memory holds the next step's soon

    @cached_property
    def _compiled(self) -> Loss:
        return torch.compile(self._loss_of, fullgraph=True, dynamic=False, mode=MODE)
