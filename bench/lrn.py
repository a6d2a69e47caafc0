"""How much faster is our local response normalization than torch's, forward and with its gradient?

    .venv/bin/python bench/lrn.py

Both sides run in this one process with memory kept, taking turns; the best of several rounds counts. Sizes are those of
norm1 and norm2 of the 2012 net at half its batch.
"""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from alexnet.memory import keep_memory
from alexnet.nn import LocalResponseNorm

SHAPES = {"norm1": (64, 96, 55, 55), "norm2": (64, 256, 27, 27)}
SIZE, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0
ROUNDS = 5


def forward(layer: nn.Module, x: Tensor) -> None:
    with torch.inference_mode():
        layer(x)


def with_gradient(layer: nn.Module, x: Tensor) -> None:
    leaf = x.detach().requires_grad_()
    layer(leaf).backward(x)


def best_ms(work: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Milliseconds of each piece of work, in turns, after one round to warm up."""
    best = dict.fromkeys(work, float("inf"))
    for round_number in range(ROUNDS + 1):
        for name, run in work.items():
            start = perf_counter()
            run()
            if round_number:
                best[name] = min(best[name], 1000 * (perf_counter() - start))
    return best


def main() -> None:
    keep_memory()
    stock, ours = nn.LocalResponseNorm(SIZE, ALPHA, BETA, K), LocalResponseNorm(SIZE, ALPHA, BETA, K)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, best of {ROUNDS}, milliseconds")
    print("row    work                  torch fp32  ours fp32  ours bf16  ratio fp32  ratio bf16")
    for row, shape in SHAPES.items():
        x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
        half = x.bfloat16()
        for run in (forward, with_gradient):
            ms = best_ms(
                {
                    "stock": lambda: run(stock, x),  # noqa: B023 (called before the loop moves on)
                    "fp32": lambda: run(ours, x),  # noqa: B023
                    "bf16": lambda: run(ours, half),  # noqa: B023
                }
            )
            print(
                f"{row}  {run.__name__:20}  {ms['stock']:10.1f}  {ms['fp32']:9.1f}  {ms['bf16']:9.1f}"
                f"  {ms['stock'] / ms['fp32']:9.1f}x  {ms['stock'] / ms['bf16']:9.1f}x"
            )


if __name__ == "__main__":
    main()
