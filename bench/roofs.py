"""What bounds a training step: products, memory, and images from JPEG."""

from collections.abc import Callable
from io import BytesIO
from math import prod
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from alexnet.arch import find
from alexnet.arch.rows import Dropout, Relu, Softmax, Tanh
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE
from alexnet.data.loader import LoaderOptions, TrainLoader
from ours import NET

ELEMENTWISE = (Relu, Tanh, Dropout, Softmax)  # a compiler makes them part of their neighbours


def seconds_of(run: Callable[[], object], times: int, device: torch.device) -> float:
    """Seconds of one of `times` runs."""
    if device.type != "cuda":
        start = perf_counter()
        for _ in range(times):
            run()
        return (perf_counter() - start) / times
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    for _ in range(times):
        run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000 / times


def peaks(device: torch.device, largest: int) -> dict[str, float]:
    """FLOP/s of the best bf16 product, and bytes/s of a copy (read and written)."""
    products = []
    for side in (largest // 2, largest):
        a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
        seconds_of(lambda a=a, b=b: a @ b, 3, device)  # type: ignore[misc]
        products += [2 * side**3 / seconds_of(lambda a=a, b=b: a @ b, 10, device) for _ in range(3)]  # type: ignore[misc]
    source = torch.empty(largest**2 * 8, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds_of(lambda: target.copy_(source), 3, device)
    copies = [2 * source.nbytes / seconds_of(lambda: target.copy_(source), 10, device) for _ in range(3)]
    return {"flops": max(products), "bytes": max(copies)}


def training_flops(net: str = NET) -> int:
    """Of one image: two a multiply-add, forward, and backward to inputs and weights; the image needs no gradient."""
    return sum(2 * shape.macs * (2 if IMAGE in shape.inputs else 3) for shape in measure(find(net)))


def training_bytes(size: int) -> float:
    """An estimate for one image: bf16 activations once in and once out of every row, forward and backward; and its part
    of the weights, float32 in the update (read, with gradient and velocity, and written) and bf16 in both passes.
    """
    shapes = [shape for shape in measure(find(NET)) if not isinstance(shape.row, ELEMENTWISE)]
    numbers = sum(3 * prod(shape.input) + 2 * prod(shape.output) for shape in shapes)
    weights = sum(shape.params for shape in shapes)
    return 2 * numbers + weights * (6 * 4 + 6 * 2) / size


def jpeg_rate(cores: int, seconds: float) -> float:
    """Images/s of the loader from JPEG files of 256x256, on `cores` threads."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(64):
        coarse = Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).resize((256, 256))
        coarse.save(file := BytesIO(), "JPEG", quality=90)
        files.append(file.getvalue())

    class Files:
        labels, paths = np.zeros(1 << 16, np.int64), range(1 << 16)

        def __len__(self) -> int:
            return 1 << 16

        def encoded(self, index: int) -> bytes:
            return files[index % 64]

        def image(self, index: int) -> Image.Image:
            return Image.open(BytesIO(self.encoded(index))).convert("RGB")

    options = LoaderOptions(
        batch_size=128, resize=256, interpolation="bilinear", crop=224, crops="chunk", flip=True, seed=0, workers=cores
    )
    batches = TrainLoader(Files(), options).epoch(0)  # type: ignore[arg-type]
    for _ in range(cores):  # those made ahead are not counted
        next(batches)
    start, images = perf_counter(), 0
    while perf_counter() - start < seconds:
        images += len(next(batches).labels)
    elapsed = perf_counter() - start
    batches.close()  # type: ignore[attr-defined]
    return images / elapsed
