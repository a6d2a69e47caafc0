"""How long does a training step take when devices share it, in three ways, and what would many of them give?

    .venv/bin/python bench/scaling.py                 one, two and four processes of this machine, one thread each
    .venv/bin/python bench/scaling.py --processes 1 2 --images 16 --steps 3

Net 145 in bf16 on random images that are there already; `images` of them in each process, the batch being that of all.
Beside the measured step stands a model with three numbers that are measured in the same run: what a multiply-add takes
where all processes compute at once, what a byte takes in an all-reduce of all of them, and what an update takes. On
CPUs an exchange takes cores from the computing, so that nothing overlaps: the parts are added.

    step = multiply-adds of one process x seconds + bytes it sends x seconds + update

The bytes are those of `alexnet.arch.traffic`, and are counted too. The last table is the model's for devices that take
`--rate` images a second, an assumption and no measurement, as are the speeds of what joins them.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

from alexnet.arch import find
from alexnet.arch.cut import at_first_fc, cut
from alexnet.arch.shapes import measure
from alexnet.arch.spec import Spec
from alexnet.arch.traffic import between_machines, of_data_parallel, of_one_weird_trick, of_parts, total
from alexnet.cores import usable_cores
from alexnet.data.loader import Batch
from alexnet.errors import SpecError
from alexnet.memory import keep_memory
from alexnet.nn import InputLayer, build
from alexnet.preprocess import Preprocessing
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.train.joining import joined
from alexnet.train.layouts import lay_out
from alexnet.train.loop import Trainer
from alexnet.train.ranks import Ranks
from alexnet.train.share import Share
from ours import MEAN, NET, random_batch
from record import record

# How work is shared, and by processes of how many machines; here all of them are this one, which says that it is two.
WAYS = {
    "data": ("data", 1),
    "towers": ("towers", 1),
    "one-weird-trick": ("one-weird-trick", 1),
    "trick, 2 machines": ("one-weird-trick", 2),
}
BF16_BYTES, PROBE_NUMBERS, CPU = 2, 8_000_000, torch.device("cpu")

COUNTS, IMAGES_EACH = (2, 8, 32, 128, 1024), 128
# Bytes that one device sends in a second: as NVLink, as 100 Gbit/s Ethernet.
LINKS = {"300 GB/s": 300e9, "12.5 GB/s": 12.5e9}
DEVICES_OF_A_MACHINE = 8


def sent_by(spec: Spec, way: str, processes: int, images: int) -> tuple[int, int]:
    """Bytes that one process sends in a step, by the model: within its machine, and between machines.

    What the processes of all machines add up goes between them.
    """
    parallel, machines = WAYS[way]
    match parallel:
        case "data":
            return total(of_data_parallel(spec, processes)), 0
        case "towers":
            return total(of_parts(spec, processes, images, BF16_BYTES)), 0
        case _:
            return of_trick(spec, processes, processes // machines, images)


def of_trick(spec: Spec, processes: int, devices: int, images: int) -> tuple[int, int]:
    """As `sent_by`, in machines of so many devices."""
    within = of_one_weird_trick(spec, devices, images * devices, BF16_BYTES)
    if processes == devices:
        return total(within), 0
    gradients = {row: sent for row, sent in of_data_parallel(spec, processes).items() if row in at_first_fc(spec).trunk}
    activations = total(within) - sum(within.get(row, 0) for row in gradients)
    return activations, total(gradients) + total(between_machines(spec, processes // devices, devices))


def macs_of(spec: Spec, way: str, processes: int, images: int) -> float:
    """Multiply-adds of one process in a step, forwards: backwards are as many again, twice."""
    whole = sum(shape.macs for shape in measure(spec))
    match WAYS[way][0]:
        case "data":
            return images * whole
        case "towers":
            return images * sum(row.parts[0].macs for row in cut(spec, processes))
        case _:
            trunk, _, _ = at_first_fc(spec)
            convolutions = sum(shape.macs for shape in measure(spec) if shape.row.name in trunk)
            return images * convolutions + images * processes * (whole - convolutions) / processes


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Bytes that this process would send if every exchange were a ring."""
    sent = {"bytes": 0}

    def counting(name: str, size: Callable[..., tuple[int, int]]) -> Any:
        original = getattr(dist, name)

        def exchange(*arguments: Any, **options: Any) -> Any:
            whole, processes = size(*arguments, **options)
            sent["bytes"] += whole * (processes - 1) // processes
            return original(*arguments, **options)

        return mock.patch.object(dist, name, exchange)

    with (
        counting("all_gather", lambda theirs, ours, *_: (ours.nbytes * len(theirs), len(theirs))),
        counting("reduce_scatter", lambda _, shares, **__: (sum(share.nbytes for share in shares), len(shares))),
        counting("all_reduce", lambda tensor, group, **_: (2 * tensor.nbytes, group.size())),
    ):
        yield sent


def trainer_of(way: str, ranks: Ranks, batch_size: int) -> Trainer:
    net = build(find(NET), seed=0)
    parallel, machines = WAYS[way]
    here = ranks.count // machines
    ranks.local, ranks.here = ranks.rank % here, here
    layout = lay_out(parallel, net, [], ranks, CPU)  # type: ignore[arg-type]
    recipe = replace(KRIZHEVSKY_145, batch_size=batch_size)
    inputs = InputLayer(Preprocessing(mean=MEAN))
    return Trainer(layout, recipe, inputs, device=CPU, dtype=torch.bfloat16, seed=0, total_steps=1_000_000)


def timed(work: Callable[[int], object], steps: int) -> float:
    """Median seconds, after one to warm up."""
    times = []
    for step in range(steps + 1):
        if dist.is_initialized():
            dist.barrier()
        start = perf_counter()
        work(step)
        times.append(perf_counter() - start)
    return median(times[1:])


def work(images: int, steps: int) -> None:
    """In each process: its steps alone, an all-reduce, an update, then every way to share. The first prints JSON."""
    keep_memory()
    with joined(CPU) as ranks:
        batch = random_batch(images)
        found: dict[str, Any] = alone(batch, images, steps)
        if ranks.group:
            probe = torch.ones(PROBE_NUMBERS)
            found["all_reduce"] = timed(lambda _: dist.all_reduce(probe), steps)
        for way in WAYS:
            if _fits(way, ranks.count):
                found[way] = measured(way, ranks, batch, images, steps)
    if ranks.is_first:
        print(json.dumps(found))


def alone(batch: Batch, images: int, steps: int) -> dict[str, float]:
    """A step without the others, though they compute too, and the update in it."""
    trainer = trainer_of("data", Ranks(), images)
    found = {"alone": timed(lambda step: trainer.step(batch, step), steps)}
    for parameter in trainer.net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return found | {"update": timed(lambda _: trainer.optimizer.optimizer.step(), steps)}


def _fits(way: str, processes: int) -> bool:
    parallel, machines = WAYS[way]
    return processes > 1 and (parallel != "towers" or processes == 2) and (machines == 1 or processes > machines)


def measured(way: str, ranks: Ranks, batch: Batch, images: int, steps: int) -> dict[str, float]:
    divides = way != "towers"
    trainer = trainer_of(way, ranks, images * (ranks.count if divides else 1))
    share = Share((images,) * ranks.count, ranks.rank) if divides else Share((images,))
    with counted() as sent:
        seconds = timed(lambda step: trainer.step(batch, step, 0, share), steps)
    return {"seconds": seconds, "bytes": sent["bytes"] / (steps + 1)}


def launch(processes: int, images: int, steps: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", __file__]
    options = ["--work", "--images", str(images), "--steps", str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *options], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--images", type=int, default=32, help="of each process in a step")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rate", type=float, default=10_000.0, help="images/s of one device of the last table")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.images, asked.steps)
        return
    spec, kept = find(NET), {}
    print(f"{NET}, bf16, {asked.images} images a process, one thread each, {usable_cores()} cores; medians")
    print("processes  way                 step    model   MB sent  counted  images/s  of one alone")
    for processes in asked.processes:
        found = kept[processes] = launch(processes, asked.images, asked.steps)
        one = kept.setdefault(1, found)
        per_mac = (found["alone"] - found["update"]) / macs_of(spec, "data", 1, asked.images)
        print(f"{processes:9}  {'each alone':17} {found['alone']:6.2f} s")
        for way in WAYS:
            if way not in found:
                continue
            images = asked.images * (1 if way == "towers" else processes)
            per_byte = found["all_reduce"] / (2 * 4 * PROBE_NUMBERS * (processes - 1) / processes)
            sent = sum(sent_by(spec, way, processes, asked.images))
            model = macs_of(spec, way, processes, asked.images) * per_mac + sent * per_byte + found["update"]
            seconds = found[way]["seconds"]
            gain = images / seconds / (asked.images / one["alone"])
            print(
                f"{processes:9}  {way:17} {seconds:6.2f} s {model:6.2f} s {sent / 1e6:8.1f} "
                f"{found[way]['bytes'] / 1e6:8.1f} {images / seconds:9.1f}  {gain:5.2f} times"
            )
    record("scaling", {"images": asked.images, "found": kept})
    print_model(spec, asked.rate)


def print_model(spec: Spec, rate: float) -> None:
    """Of many devices: their exchanges all hidden behind the computing, or none, are the two bounds."""
    print(f"\nassumed: {rate:,.0f} images/s a device, {IMAGES_EACH} each; of P times that, exchange hidden / not")
    fast, slow = LINKS.values()
    for link, speed in LINKS.items():
        print(f"{link:32}" + "".join(f"{count:>15,}" for count in COUNTS))
        for way in ("data", "one-weird-trick"):
            seconds = [exchange(spec, way, count, count, speed, speed) for count in COUNTS]
            print(f"  {way:30}" + "".join(f"{bounds(each, rate):>15}" for each in seconds))
    print(f"machines of {DEVICES_OF_A_MACHINE}: {' within, '.join(LINKS)} a device between")
    seconds = [exchange(spec, "one-weird-trick", count, DEVICES_OF_A_MACHINE, fast, slow) for count in COUNTS]
    print(f"  {'one-weird-trick':30}" + "".join(f"{bounds(each, rate):>15}" for each in seconds))


def exchange(spec: Spec, way: str, processes: int, devices: int, fast: float, slow: float) -> float | None:
    """Seconds of a step in machines of so many devices; None where there are more parts than classes."""
    if way == "data":
        return sum(sent_by(spec, way, processes, IMAGES_EACH)) / slow
    try:
        within, between = of_trick(spec, processes, min(devices, processes), IMAGES_EACH)
    except SpecError:
        return None
    return within / fast + between / slow


def bounds(exchange: float | None, rate: float) -> str:
    if exchange is None:
        return "-"
    seconds = IMAGES_EACH / rate
    return f"{seconds / max(seconds, exchange):.0%} / {seconds / (seconds + exchange):.0%}"


if __name__ == "__main__":
    main()
