"""Small nets, images for them, and what a net must give."""

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.arch.rows import Fc, Relu, Row, Softmax
from alexnet.arch.spec import IMAGE, Spec
from alexnet.nn import Net


def spec_of(*rows: Row, size: int = 9) -> Spec:
    return Spec("test", "this file", (3, size, size), (*rows, Fc("fc", 4), Softmax("prob")))


def images_for(spec: Spec, n: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, *spec.input, dtype=dtype) * 50


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


def run_by_the_book(net: Net, images: Tensor) -> dict[str, Tensor]:
    """Every row on its own, nothing in place, nothing let go."""
    values = {IMAGE: images.clone()}
    for row in net.spec.rows:
        module = net.get_submodule(row.name)
        whole = torch.cat([values[name] for name in net.spec.inputs_of(row)], 1)
        values[row.name] = F.relu(whole) if isinstance(row, Relu) else module(whole.clone())
    return values
