"""Networks made: of a table, around weights that there are, by name."""

from collections.abc import Mapping

import torch
from torch import Tensor

from alexnet.arch import find
from alexnet.arch.spec import Spec
from alexnet.nn.net import Net


def build(spec: Spec, *, seed: int | None = None) -> Net:
    """`spec` as a module with initial weights, the same for the same `seed` (None: torch's global generator)."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return Net(spec)


def assemble(spec: Spec, weights: Mapping[str, Tensor]) -> Net:
    """`spec` as a module around weights that there are already: none are drawn first, and none copied."""
    with torch.device("meta"):
        net = Net(spec)
    net.load_state_dict(weights, assign=True)
    return net


def create(net: str, *, num_classes: int | None = None, input_size: int | None = None, seed: int | None = None) -> Net:
    """A named net as a module with the initial weights of its source, `krizhevsky-145+no-lrn` and the like included.

    Raises:
        UnknownNameError: no such net or ablation; the message offers the nearest names.
        SpecError: an ablation that is undefined for the net, or an image size that its rows do not allow.
    """
    return build(find(net, num_classes=num_classes, input_size=input_size), seed=seed)
