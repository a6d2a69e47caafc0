"""Random numbers of a row, the same wherever and in whatever parts a step is worked on.

In training each follows from the step's seed, the row's name, the image's number in the step and the unit's in the row:
devices, processes and passes need not draw what is not theirs, and a compiled net draws what one as written does.
"""

from collections.abc import Sequence
from math import prod
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.spans import Span

# As signed integers of 64 and 32 bits, which torch multiplies modulo 2^64 and 2^32.
GOLDEN, MIX_64 = 0x9E3779B97F4A7C15 - 2**64, ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
MIX_32 = ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32))


class Drawing(nn.Module):
    """A row that draws.

    `seed`: in training, of the step and the row: int64 of no dimensions, on the row's device. Without one, and at test,
    torch's generator is asked.
    `images`, `outputs`: which of the step's images, and of the row's outputs, are worked on here; None: all.
    """

    seed: Tensor | None = None
    images: Span | None = None
    outputs: Span | None = None

    def uniform(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Numbers in [0, 1): float32 of `shape` (images, outputs, ...)."""
        if self.seed is None or not self.training:
            return torch.rand(tuple(shape), device=device)
        places = prod(shape[2:])
        images = _keys(self.seed, self.images.start if self.images else 0, shape[0])
        units = _keys(~self.seed, self.outputs.start * places if self.outputs else 0, shape[1] * places)
        return _scattered(images[:, None] ^ units).bitwise_and(2**24 - 1).float().mul(2**-24).view(tuple(shape))


def set_draws(net: nn.Module, seed: Sequence[int], images: Span | None, device: torch.device) -> None:
    """Give every drawing row of `net`, all on `device`, its part of a step's `seed`, and which images it will see."""
    for name, module in net.named_modules():
        if isinstance(module, Drawing):
            row = crc32(name.rpartition(".")[2].encode())
            state = np.random.SeedSequence((*seed, row)).generate_state(1, np.uint64).view(np.int64)[0]
            if module.seed is None:
                module.seed = torch.zeros((), dtype=torch.int64, device=device)
            module.seed.fill_(int(state))  # in place: a recorded graph of CUDA reads it there
            module.images = images


def _keys(seed: Tensor, start: int, count: int) -> Tensor:
    """Numbers `start` to `start + count` of a sequence: int32. SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = torch.arange(start + 1, start + count + 1, device=seed.device) * GOLDEN + seed
    for shift, factor in MIX_64:
        mixed = (mixed ^ _shifted(mixed, shift, 64)) * factor
    return (mixed ^ _shifted(mixed, 31, 64)).to(torch.int32)


def _scattered(keys: Tensor) -> Tensor:
    """Every bit of a number, int32, spread over all bits: two rounds of multiplying (C. Wellons's lowbias32)."""
    for shift, factor in MIX_32:
        keys = (keys ^ _shifted(keys, shift, 32)) * factor
    return keys ^ _shifted(keys, 16, 32)


def _shifted(numbers: Tensor, by: int, bits: int) -> Tensor:
    """To the right, without the copies of the sign."""
    return (numbers >> by).bitwise_and(2 ** (bits - by) - 1)
