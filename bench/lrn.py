"""How much faster is our local response normalization than torch's, forward and with its gradient, and by which means?

    .venv/bin/python bench/lrn.py

Four ways to the same numbers take turns in this one process with memory kept, on the sizes of norm1 and norm2 of the
2012 net at half its batch, in channels-last memory: torch's layer; the formula as torch's own operations, which is what
machines without a compiler get; the formula given to torch.compile; our kernels. torch has no bf16 of it on CPUs.
Printed are medians in milliseconds; beside them a copy of the same numbers, below which nothing can be.
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from time import perf_counter
from unittest import mock

import torch
from torch import Tensor, nn

from alexnet.memory import keep_memory
from alexnet.nn import LocalResponseNorm, divisive
from alexnet.nn.divisive import normalize
from alexnet.nn.lrn import shifted_window
from alexnet.nn.native import why_not
from record import record, spread

SHAPES = {"norm1": (64, 96, 55, 55), "norm2": (64, 256, 27, 27)}
SIZE, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0
ROUNDS = 9

Layer = Callable[[Tensor], Tensor]


def forward(layer: Layer, x: Tensor) -> None:
    with torch.inference_mode():
        layer(x)


def with_gradient(layer: Layer, x: Tensor) -> None:
    leaf = x.detach().requires_grad_()
    layer(leaf).backward(x)  # type: ignore[no-untyped-call]


def without_kernels(run: Callable[[], object]) -> None:
    """As on a machine where they cannot be compiled."""
    with mock.patch.object(divisive, "kernels_for", return_value=None):
        run()


def layers() -> dict[str, Layer]:
    ours = LocalResponseNorm(SIZE, ALPHA, BETA, K)
    window = shifted_window(SIZE, ALPHA / SIZE, 1)
    return {
        "torch": nn.LocalResponseNorm(SIZE, ALPHA, BETA, K),
        "plain": ours,
        "compiled": torch.compile(lambda x: normalize(x, window, K, BETA)),
        "ours": ours,
    }


def measure(work: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Milliseconds of each piece of work, in turns, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(ROUNDS + 1):
        for name, run in work.items():
            start = perf_counter()
            run()
            if number:
                times[name].append(1000 * (perf_counter() - start))
    return {name: spread(found) for name, found in times.items()}


def main() -> None:
    keep_memory()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {ROUNDS}, milliseconds")
    if reason := why_not():
        print(f"no kernels here: {reason}")
    ways, figures = layers(), []
    print(f"{'':30}  copy" + "".join(f"{name:>10}" for name in ways) + "   torch fp32 / ours")
    for (row, shape), run in product(SHAPES.items(), (forward, with_gradient)):
        stock_fp32 = 0.0
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
            into = torch.empty_like(x)
            work: dict[str, Callable[[], object]] = {"copy": partial(into.copy_, x)}
            for name, layer in ways.items():
                if name != "torch" or dtype == torch.float32:
                    work[name] = partial(run, layer, x)
            work["plain"] = partial(without_kernels, work["plain"])
            ms = measure(work)
            stock_fp32 = ms["torch"]["median"] if "torch" in ms else stock_fp32
            ratio = stock_fp32 / ms["ours"]["median"]
            cells = "".join(f"{ms[name]['median']:10.1f}" if name in ms else f"{'-':>10}" for name in ways)
            print(f"{row} {run.__name__:13} {str(dtype)[6:]:10} {ms['copy']['median']:5.1f}{cells}   {ratio:6.1f}x")
            figures.append({"row": row, "work": run.__name__, "dtype": str(dtype)[6:], "ms": ms, "ratio": ratio})
    record("lrn", {"shapes": SHAPES, "results": figures})


if __name__ == "__main__":
    main()
