"""How fast does the 2012 net train here, against the same net of torch's own layers, and against what products allow?

    .venv/bin/python bench/train_step.py              two or three minutes a round, three rounds
    .venv/bin/python bench/train_step.py --quick      one round without the compiled twins
    .venv/bin/python bench/train_step.py --precision fp32     the default where products in bf16 are not fast

One step is forward, backward and update at batch 128 on random images that are there already. Every variant runs in a
process of its own (the allocator's settings are the process's) and all take turns; printed are medians over the rounds
of the median step of each, in images/s, with the smallest and the largest round, and peak memory. The twin is what one
would write with torch alone: its own LRN on each tower, its pooling, dropout and SGD, the mean taken from uint8 images.
It runs in channels-last memory, in fp32 as installed; with the allocator's settings of this package; and compiled with
either, under autocast where the precision is bf16. "Matrix peak" is what the multiply-adds of a step would take at the
best rate of any product of matrices tried here, "convolution peak" at that of conv3, which oneDNN computes faster.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from record import record, spread

if TYPE_CHECKING:
    import torch

NET = "krizhevsky-145"
BATCH_SIZE, STEPS, ROUNDS = 128, 5, 3
AS_INSTALLED, KEPT = "twin fp32, as installed", "twin fp32, memory kept"


def variants(precision: str) -> dict[str, tuple[str, str, str, bool]]:
    """By name: (net, who computes, precision, memory is kept)."""
    return {
        AS_INSTALLED: (NET, "twin", "fp32", False),
        KEPT: (NET, "twin", "fp32", True),
        f"twin compiled {precision}, as installed": (NET, "compiled", precision, False),
        f"twin compiled {precision}, memory kept": (NET, "compiled", precision, True),
        "ours fp32": (NET, "ours", "fp32", True),
        f"ours {precision}": (NET, "ours", precision, True),
        f"ours {precision}, without norm rows": (f"{NET}+no-lrn", "ours", precision, True),
        f"ours {precision}, paper-2012": ("paper-2012", "ours", precision, True),
        "matrix peak": (NET, "matrices", precision, True),
        "convolution peak": (NET, "convolutions", precision, True),
    }


def goals(precision: str) -> dict[str, tuple[tuple[str, ...], float]]:
    """The figures of merit: ours over what, of several the best, and the goal, which was set for bf16."""
    return {
        "of the twin as installed": ((AS_INSTALLED,), 6.0),
        "of the twin with memory kept": ((KEPT,), 3.2),
        "of the better compiled twin": (
            (f"twin compiled {precision}, as installed", f"twin compiled {precision}, memory kept"),
            1.7,
        ),
        "of itself without norm rows": ((f"ours {precision}, without norm rows",), 0.93),
        "of the matrix peak": (("matrix peak",), 0.80),
        "of the convolution peak": (("convolution peak",), 0.80),
    }


def time_steps(step: Any) -> float:
    """Images a second of the median step, after two to warm up."""
    seconds = []
    for number in range(STEPS + 2):
        start = perf_counter()
        step(number)
        seconds.append(perf_counter() - start)
    return BATCH_SIZE / median(seconds[2:])


def ours(net: str, precision: str) -> float:
    from alexnet.nn import create
    from ours import random_batch, trainer_of

    trainer = trainer_of(create(net, seed=0), dtype=dtype_of(precision))
    batch = random_batch(BATCH_SIZE)
    return time_steps(lambda number: trainer.step(batch, number))


def twin(precision: str, compiled: bool) -> float:
    import torch
    from torch.nn import functional as F

    from twin import stock_krizhevsky_145

    torch.manual_seed(0)
    net = stock_krizhevsky_145().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randint(0, 256, (BATCH_SIZE, 224, 224, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    labels = torch.randint(0, 1000, (BATCH_SIZE,))
    mean = torch.tensor([127.0, 119.0, 105.0]).view(1, 3, 1, 1)

    def step(_: int) -> None:
        x = images.float() - mean  # channels-last, as the images are
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = run(x)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return time_steps(step)


def peak(net: str, product: str, precision: str) -> float:
    """Images a second, if a step were its multiply-adds alone at the best rate of any product."""
    from roofs import training_flops

    best = best_of_matrices if product == "matrices" else best_of_convolutions
    return best(dtype_of(precision)) / training_flops(net)


def best_of_matrices(dtype: "torch.dtype") -> float:
    """Operations a second of products of square matrices."""
    import torch

    rates = []
    for side in (1024, 2048, 4096):
        a, b = (torch.randn(side, side, dtype=dtype) for _ in range(2))
        rates += [2 * side**3 / seconds(lambda a=a, b=b: torch.mm(a, b.T)) for _ in range(8)]  # type: ignore[misc]
    return max(rates)


def best_of_convolutions(dtype: "torch.dtype") -> float:
    """Operations a second of conv3 of net 145, forward."""
    import torch

    x = torch.randn(BATCH_SIZE, 256, 13, 13, dtype=dtype).contiguous(memory_format=torch.channels_last)
    filters = torch.randn(384, 256, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
    flop = 2 * BATCH_SIZE * 384 * 169 * 256 * 9
    return max(flop / seconds(lambda: torch.conv2d(x, filters, padding=1)) for _ in range(8))


def dtype_of(precision: str) -> "torch.dtype":
    import torch

    return torch.bfloat16 if precision == "bf16" else torch.float32


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def measure_here(net: str, who: str, precision: str, keep: bool) -> dict[str, float]:
    """In this process: images a second, and peak memory in MB."""
    if keep:
        from alexnet.memory import keep_memory

        keep_memory()
    match who:
        case "ours":
            rate = ours(net, precision)
        case "matrices" | "convolutions":
            rate = peak(net, who, precision)
        case _:
            rate = twin(precision, compiled=who == "compiled")
    return {"rate": rate, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure_apart(name: str, precision: str) -> dict[str, float]:
    """In a process of its own, with the allocator as that variant wants it."""
    environment = {key: value for key, value in os.environ.items() if key != "ALEXNET_KEEP_MEMORY"}
    command = [sys.executable, __file__, "--precision", precision, "--variant", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def fast_precision() -> str:
    import torch

    from alexnet.train.device import has_fast_bf16

    return "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--variant", help="this one, in this process")
    parser.add_argument("--quick", action="store_true", help="one round, no compiled twins")
    parser.add_argument("--only", nargs="+", help="these variants")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default=fast_precision(), help="of the fast variants")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    known, precision = variants(options.precision), options.precision
    if wrong := {options.variant, *(options.only or [])} - {None, *known}:
        parser.error(f"no variant {'; '.join(sorted(wrong))}; there are: {'; '.join(known)}")
    if options.variant:
        print(json.dumps(measure_here(*known[options.variant])))
        return
    names = options.only or [name for name in known if not (options.quick and "compiled" in name)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(1 if options.quick else options.rounds):
        for name in names:
            found[name].append(measure_apart(name, precision))
            print(f"{name:36} {found[name][-1]['rate']:7.1f} images/s", file=sys.stderr)
    rates = {name: spread([each["rate"] for each in rounds]) for name, rounds in found.items()}
    print(f"{os.cpu_count()} cores, 224 pixels, batch {BATCH_SIZE}, medians of {len(found[names[0]])} x {STEPS} steps")
    for name, rate in rates.items():
        memory = max(each["peak_mb"] for each in found[name])
        print(f"{name:34} {rate['median']:7.1f} images/s ({rate['min']:.1f} to {rate['max']:.1f}) {memory:7.0f} MB")
    ratios, best = {}, f"ours {precision}"
    for what, (others, goal) in goals(precision).items():
        if all(name in rates for name in (best, *others)):
            turns = zip(found[best], *(found[name] for name in others), strict=True)
            ratios[what] = spread([ours["rate"] / max(other["rate"] for other in rest) for ours, *rest in turns])
            ratio = ratios[what]
            print(f"{ratio['median']:6.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}) {what}, goal {goal}")
    peaks = {name: max(each["peak_mb"] for each in rounds) for name, rounds in found.items()}
    setting = {"batch_size": BATCH_SIZE, "precision": precision}
    record("train_step", {"images_per_second": rates, "peak_mb": peaks, "ratios": ratios, **setting})


if __name__ == "__main__":
    main()
