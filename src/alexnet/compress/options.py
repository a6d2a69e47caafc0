"""What is asked of a compression."""

from dataclasses import dataclass
from math import inf
from typing import Any

from alexnet.errors import InputError
from alexnet.recipes.variations import PRUNING_RATE, SHARING_RATE
from alexnet.weights import Weights
from alexnet.weights.digest import weights_digest

_MOST_MIB = 2**20  # ours: far more than any net has
_DECIDING = ("mib", "epochs", "batch_size", "lr", "seed", "precision", "limit_train_batches")


@dataclass(frozen=True, kw_only=True)
class CompressOptions:
    """How small, and with how much work. `data`: to train and measure on; without it values are shared, no more.

    mib: the size to reach, in MiB. lr: the first rate of the run that prunes, by which that of the other scales; None
    leaves both to the recipe. licence: put into the file; None keeps the original's. reduce_to: what pictures are
    reduced to before they are shown to the small net (`Preprocessing`); None keeps the original's.

    Raises:
        InputError: a size or a rate that is none.
    """

    data: str | None
    mib: float = 8.0
    epochs: int = 10
    batch_size: int | None = None
    lr: float | None = None
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    workers: int = 2
    limit_train_batches: int | None = None
    licence: str | None = None
    reduce_to: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.mib <= _MOST_MIB:  # which NaN is not
            raise InputError(f"--mib is a size above 0 and up to {_MOST_MIB:,}, not {self.mib}")
        if self.lr is not None and not 0 < self.lr < inf:
            raise InputError(f"--lr is a number above 0, not {self.lr}")

    @property
    def target_bytes(self) -> int:
        """Of the file."""
        return round(self.mib * 2**20)

    @property
    def sharing_lr(self) -> float | None:
        """The first rate of the second run, which is to the first run's as recipes have it."""
        return None if self.lr is None else self.lr * SHARING_RATE / PRUNING_RATE

    def settings(self, weights: Weights) -> dict[str, Any]:
        """All that decides what training makes of `weights`, as plain JSON by the names that people know."""
        options = {f"--{name.replace('_', '-')}": getattr(self, name) for name in _DECIDING}
        return {"weights of digest": weights_digest(weights), **options}
