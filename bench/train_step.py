"""How fast does the 2012 net train here, against the same net of torch's own layers?

    .venv/bin/python bench/train_step.py

Every variant runs in a process of its own (the allocator's settings are the process's), all take turns, and the best of
several rounds counts. One step is forward, backward and update at batch 128 on random images; no decoding.
"""

import os
import subprocess
import sys
from time import perf_counter

BATCH_SIZE, STEPS, ROUNDS = 128, 3, 3

# name: (net, its norms are torch's, precision, memory is kept)
VARIANTS = {
    "torch layers fp32, as installed": ("krizhevsky-145", True, "fp32", False),
    "torch layers fp32, memory kept": ("krizhevsky-145", True, "fp32", True),
    "ours fp32": ("krizhevsky-145", False, "fp32", True),
    "ours bf16": ("krizhevsky-145", False, "bf16", True),
    "ours bf16, without norms": ("krizhevsky-145+no-lrn", False, "bf16", True),
}


def measure(net: str, stock: bool, precision: str, keep: bool) -> float:
    """Images per second of the best step."""
    import numpy as np
    import torch
    from torch import Tensor, nn

    from alexnet.data.loader import Batch
    from alexnet.memory import keep_memory
    from alexnet.nn import InputLayer, LocalResponseNorm, create
    from alexnet.nn.layers import SameMapNorm
    from alexnet.preprocess import Preprocessing
    from alexnet.recipes import KRIZHEVSKY_145
    from alexnet.train.loop import Trainer

    class TowerNorm(nn.Module):
        """torch's LRN on each tower."""

        def __init__(self, ours: LocalResponseNorm) -> None:
            super().__init__()
            self.norm, self.groups = nn.LocalResponseNorm(ours.size, ours.alpha, ours.beta, ours.k), ours.groups

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.norm(part) for part in x.chunk(self.groups, 1)], 1)

    class PooledNorm(nn.Module):
        """The same-map norm as torch's operations spell it."""

        def __init__(self, ours: SameMapNorm) -> None:
            super().__init__()
            self.size, self.alpha, self.beta = ours.size, ours.alpha, ours.beta

        def forward(self, x: Tensor) -> Tensor:
            mean_square = nn.functional.avg_pool2d(x * x, self.size, 1, self.size // 2)
            return x * (1 + self.alpha * mean_square).pow(-self.beta)

    if keep:
        keep_memory()
    module = create(net, num_classes=1000, seed=0)
    if stock:
        for name, row in list(module.named_children()):
            if isinstance(row, LocalResponseNorm):
                setattr(module, name, TowerNorm(row))
            elif isinstance(row, SameMapNorm):
                setattr(module, name, PooledNorm(row))
    trainer = Trainer(
        module,
        KRIZHEVSKY_145,
        InputLayer(Preprocessing(mean=(127.0, 119.0, 105.0))),
        device=torch.device("cpu"),
        dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
        seed=0,
        total_steps=1000,
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH_SIZE, 3, 224, 224), np.uint8)
    batch = Batch(images, rng.integers(0, 1000, BATCH_SIZE), None, np.arange(BATCH_SIZE))
    seconds = []
    for step in range(STEPS + 1):
        start = perf_counter()
        trainer.step(batch, step)
        seconds.append(perf_counter() - start)
    return BATCH_SIZE / min(seconds[1:])


def main() -> None:
    if len(sys.argv) == 2:
        print(measure(*VARIANTS[sys.argv[1]]))
        return
    best = dict.fromkeys(VARIANTS, 0.0)
    environment = {name: value for name, value in os.environ.items() if name != "ALEXNET_KEEP_MEMORY"}
    for _ in range(ROUNDS):
        for name in VARIANTS:
            command = [sys.executable, __file__, name]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            best[name] = max(best[name], float(done.stdout))
    print(f"{os.cpu_count()} cores, krizhevsky-145, 224 pixels, batch {BATCH_SIZE}, best of {ROUNDS} x {STEPS} steps")
    first = best["torch layers fp32, as installed"]
    for name, rate in best.items():
        print(f"{name:34} {rate:7.1f} images/s  {rate / first:5.2f}x")


if __name__ == "__main__":
    main()
