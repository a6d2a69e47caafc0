"""PyTorch as an engine: on the accelerator where there is one, else on the CPU."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.engines import Features, Precision
from alexnet.errors import InputError
from alexnet.nn import InputLayer, assemble
from alexnet.nn.layers import use_channels_last
from alexnet.preprocess import View
from alexnet.weights import Weights


class TorchEngine:
    """A net in evaluation mode, channels-last. Where it can it uses the memory of `weights.tensors` itself.

    `net` is the module, `inputs` what turns uint8 crops into what it takes.

    `precision` auto is float32. In bf16 the weights are converted once: cast in every call, as autocast does it, they
    take most of the time of one image.

    Raises:
        InputError: no such device on this machine.
    """

    name = "torch"

    def __init__(self, weights: Weights, device: str = "auto", precision: Precision = "auto") -> None:
        self.device = _device(device)
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        tensors = {key: torch.from_numpy(tensor).to(self._dtype) for key, tensor in weights.tensors.items()}
        net = assemble(weights.spec, tensors)
        self.net = net.to(self.device).eval()
        use_channels_last(net)
        self.inputs = InputLayer(weights.preprocessing).to(self.device)

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8], view: View | None = None) -> NDArray[np.float32]:
        """uint8 (N, 3, crop, crop) to float32 (N, K)."""
        return _to_numpy(self.net(self._normalized(images, view)))

    @torch.inference_mode()
    def features(self, images: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """uint8 (N, 3, crop, crop) to float32 (N, ...) by layer."""
        found = self.net.features(self._normalized(images), layers)
        return {layer: _to_numpy(tensor) for layer, tensor in found.items()}

    def _normalized(self, images: NDArray[np.uint8], view: View | None = None) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        normalized: Tensor = self.inputs(pixels, dtype=self._dtype, view=view)
        return normalized


@contextmanager
def one_thread() -> Iterator[None]:
    """All of torch's work in this process on one thread: always the same rounding, and no waiting for shared cores.

    A second thread gains nothing on one image; where other processes want the cores too, waiting for it took ten times
    the work itself.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _device(name: str) -> torch.device:
    if name == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        if found is None:
            return torch.device("cpu")
        local = int(os.environ.get("LOCAL_RANK", "0"))  # of the processes that torchrun has started on this machine
        return torch.device(found.type, local % torch.accelerator.device_count())
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch built without CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used here ({reason}); use auto or cpu") from None


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().contiguous().cpu().numpy()
    return array
