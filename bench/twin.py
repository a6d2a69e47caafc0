"""Net 145 as one would write it with torch's own layers: the twin that benchmarks are measured against."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TowerNorm(nn.Module):
    """torch's LRN on each tower."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.norm(tower) for tower in x.chunk(2, 1)], 1)


class SquareNorm(nn.Module):
    """The norm within a map, as torch's operations spell it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + 1e-3 * F.avg_pool2d(x * x, 5, 1, 2)).pow(-0.75)


def stock_krizhevsky_145(num_classes: int = 1000, *, norms: bool = True) -> nn.Sequential:
    """The rows of net 145, without those that normalize where `norms` is false."""

    def conv(inputs: int, outputs: int, size: int, groups: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)

    return nn.Sequential(
        nn.ZeroPad2d((0, 3, 0, 3)),
        nn.Conv2d(3, 96, 11, 4),
        *([TowerNorm()] if norms else []),
        nn.MaxPool2d(3, 2),
        nn.ReLU(inplace=True),
        conv(96, 256, 5, groups=2),
        nn.ReLU(inplace=True),
        *([TowerNorm(), SquareNorm()] if norms else []),
        nn.MaxPool2d(3, 2),
        conv(256, 384, 3),
        nn.ReLU(inplace=True),
        conv(384, 384, 3, groups=2),
        nn.ReLU(inplace=True),
        conv(384, 256, 3, groups=2),
        nn.MaxPool2d(3, 2),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(9216, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, num_classes),
    )
