"""Ways to run a net, behind one small protocol: uint8 crops in, float32 arrays out."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import MissingExtraError, UnknownNameError
from alexnet.weights import Weights


class Engine(Protocol):
    """A net with its weights, ready to run. `images` are uint8 RGB crops (N, 3, crop, crop), not yet normalized."""

    @property
    def name(self) -> str:
        """What `--engine` calls it."""

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, K)."""

    def features(self, images: NDArray[np.uint8], layers: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs (N, ...) of the named layers; `fc7` is after its ReLU, `fc7:pre` the raw row.

        Raises:
            UnknownNameError: no such layer.
        """


def _torch(weights: Weights, device: str) -> Engine:
    try:
        from alexnet.engines.torch import TorchEngine
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("PyTorch", "train") from None
    return TorchEngine(weights, device)


ENGINES: dict[str, Callable[[Weights, str], Engine]] = {"torch": _torch}


def open_engine(name: str, weights: Weights, device: str = "auto") -> Engine:
    """The named engine running `weights` on `device`; `auto` takes the first that is installed.

    Raises:
        UnknownNameError: no such engine.
        MissingExtraError: what the engine runs on is not installed.
    """
    if name == "auto":
        name = next(iter(ENGINES))
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ["auto", *ENGINES])
    return ENGINES[name](weights, device)
