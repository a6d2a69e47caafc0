"""How does a training step grow with the batch and with the number of classes?

    .venv/bin/python bench/growth.py

Net 145 in bf16, random images that are there already, one setting after the other in one process with memory kept;
printed are medians of a few steps, so a busy machine shows. How cost grows with images and workers is in
input_memory.py and input.py.
"""

from collections.abc import Callable
from time import perf_counter

import torch

from alexnet.memory import keep_memory
from alexnet.nn import create
from ours import NET, random_batch, trainer_of
from record import record, spread

BATCHES, CLASSES, ROUNDS = (1, 8, 32, 128, 256), (10, 100, 1000, 10000), 3
BATCH_SIZE, NUM_CLASSES = 128, 1000


def training(batch_size: int, num_classes: int) -> Callable[[int], None]:
    """One step of a net of its own."""
    trainer, batch = trainer_of(create(NET, num_classes=num_classes, seed=0)), random_batch(batch_size, num_classes)

    def step(number: int) -> None:
        trainer.step(batch, number)

    return step


def main() -> None:
    keep_memory()
    settings = dict.fromkeys((size, NUM_CLASSES) for size in BATCHES)
    settings |= dict.fromkeys((BATCH_SIZE, count) for count in CLASSES)
    found: dict[str, dict[str, float]] = {}
    print(f"{torch.get_num_threads()} threads, krizhevsky-145 bf16, milliseconds a step, median of {ROUNDS}")
    for batch_size, num_classes in settings:
        step, times = training(batch_size, num_classes), []
        for number in range(ROUNDS + 2):
            start = perf_counter()
            step(number)
            times.append(1000 * (perf_counter() - start))
        ms = spread(times[2:])
        found[f"batch {batch_size}, {num_classes} classes"] = ms
        print(
            f"batch {batch_size:4}, {num_classes:6} classes: {ms['median']:8.1f} ({ms['min']:.1f} to {ms['max']:.1f})"
            f"  {1000 * batch_size / ms['median']:6.1f} images/s"
        )
    record("growth", {"ms_per_step": found})


if __name__ == "__main__":
    main()
