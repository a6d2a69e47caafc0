"""How fast does the 2012 net train and predict on a GPU, is it right there, and what bounds it?

    PYTHONPATH=src python bench/gpu.py                     all of it, under eight minutes on one H100 or H200
    PYTHONPATH=src python bench/gpu.py --device cpu --quick     the script itself, tried where there is no GPU
    ... --checks                                           is it right, and no more
    ... --train FOLDER                                     and the minutes of one epoch of `alexnet train FOLDER`

First the numbers: norms, pools, logits, gradients and one update against the CPU; where one is off, all ends. Then, for
every batch size, all variants take turns in every round, each for as many steps as fill a moment, timed by events on
the device; printed are medians of images/s with the smallest and largest round. A step is forward, backward and update
on uint8 images that are on the device already, in bf16 under autocast. "Stock" is net 145 of torch's own layers
(twin.py), "torchvision" its net of that name; "compiled" is torch.compile with CUDA graphs. "Held" adds to ours what
draws each batch from 64-pixel pictures kept on the device. Peaks, of products and of a copy, are measured in the same
run. Where time runs short the variants that are left out are named. Pictures are noise: rates do not depend on them.
"""

import argparse
import gc
import sys
from dataclasses import dataclass
from time import monotonic, perf_counter

import torch

from alexnet.cores import usable_cores
from alexnet.nn import fused
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from gpu_checks import LAYER_LIMITS, NET_LIMITS, check_layers, check_net, too_far
from gpu_variants import Variants, on_device, prediction_variants, training_variants
from ours import NET
from record import record, spread
from roofs import jpeg_rate, peaks, seconds_of, training_bytes, training_flops

EPOCHS, IMAGES = 90, 1_281_167  # of ILSVRC-2012
GOAL_HELD_MINUTES, GOAL_JPEG_MINUTES, JPEG_CORES = 25, 60, 16
TRAINING_SHARE = 0.7  # of the time


@dataclass(frozen=True)
class Plan:
    """How much is measured: batch sizes, rounds, seconds of a variant in a round and of the whole, side of products."""

    device: torch.device
    batch_sizes: tuple[int, ...]
    rounds: int
    turn_seconds: float
    seconds: float
    side: int
    pictures: int


FULL = (128, 512, 2048), 7, 0.25, 420.0, 8192, 20_000
QUICK = (2,), 2, 0.01, 60.0, 256, 64


def take_turns(plan: Plan, variants: Variants, size: int, until: float) -> dict[str, dict[str, float]]:
    """Images/s of every variant that there is memory and time to make."""
    batch, steps, times = on_device(size, plan.device), {}, {}
    for name, make in variants.items():
        if monotonic() > until:
            print(f"  {size:5} {name:24} left out: no time left", flush=True)
            continue
        start = perf_counter()
        try:
            step = make(batch)
            seconds_of(step, 5 if plan.device.type == "cuda" else 1, plan.device)  # compiles, tries, records
            one = seconds_of(step, 3, plan.device)
        except Exception as error:  # a peer that cannot run is named and left out
            print(f"  {size:5} {name:24} left out: {str(error).splitlines()[0][:90]}", flush=True)
            torch.cuda.empty_cache()
            continue
        steps[name], times[name] = step, max(2, round(plan.turn_seconds / one))
        print(f"  {size:5} {name:24} ready after {perf_counter() - start:5.1f} s, {size / one:9.0f}/s", flush=True)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(plan.rounds):
        for name, step in steps.items():
            rates[name].append(size / seconds_of(step, times[name], plan.device))
    return {name: spread(found) for name, found in rates.items()}


def check(device: torch.device) -> dict[str, float]:
    """How far off each layer and the net are, as printed; ends the script where that is too far."""
    least, fused.LEAST_NUMBERS = fused.LEAST_NUMBERS, 1  # the layers are checked as they are for large batches
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False  # float32 is compared as float32
    layers, net = check_layers(device), check_net(device)
    fused.LEAST_NUMBERS, torch.backends.cudnn.allow_tf32 = least, tf32
    errors = layers | net
    for what, error in errors.items():
        print(f"  {what:28} off by {error:.1e}", flush=True)
    if wrong := too_far(layers, LAYER_LIMITS) + too_far(net, NET_LIMITS):
        sys.exit(f"wrong on this device, so that its speed is of no use: {', '.join(wrong)}")
    return errors


def free() -> None:
    """Graphs and their memory, before the next batch size."""
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()


def print_rates(title: str, found: dict[int, dict[str, dict[str, float]]]) -> None:
    print(f"\n{title}, images/s: median (smallest to largest), ours eager = 1")
    for size, rates in found.items():
        base = rates.get("ours eager", {}).get("median", float("nan"))
        for name, rate in rates.items():
            between = f"({rate['min']:.0f} to {rate['max']:.0f})"
            print(f"{size:6}  {name:24} {rate['median']:10.0f}  {between:24} {rate['median'] / base:6.2f}x")


def bounds(size: int, rates: dict[str, dict[str, float]], peak: dict[str, float], jpeg: float) -> dict[str, float]:
    """What the rates of one batch size come to."""
    way = "compiled" if "ours compiled" in rates else "eager"
    rate = rates[f"ours {way}"]["median"]
    figures = {
        "share of the product peak": rate * training_flops() / peak["flops"],
        "share of the copy peak": rate * training_bytes(size) / peak["bytes"],
        f"minutes of {EPOCHS} epochs, images on the device": EPOCHS * IMAGES / rate / 60,
        f"minutes of {EPOCHS} epochs, from JPEG": EPOCHS * IMAGES / min(rate, jpeg) / 60,
    }
    if without := rates.get(f"ours {way}, no norms"):
        figures["share of the step that norms take"] = 1 - rate / without["median"]
    if drawn := rates.get("ours compiled, held"):
        figures[f"minutes of {EPOCHS} epochs, drawn from 64-pixel pictures"] = EPOCHS * IMAGES / drawn["median"] / 60
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: is the script sound?")
    parser.add_argument("--checks", action="store_true", help="the numbers alone: no peaks, no rates")
    parser.add_argument("--train", metavar="FOLDER", help="train one epoch of this data, such as tiny-imagenet")
    arguments = parser.parse_args()
    plan = Plan(torch.device(arguments.device), *(QUICK if arguments.quick else FULL))
    if plan.device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; the script itself can be tried with --device cpu --quick")
    start = monotonic()
    name = torch.cuda.get_device_name() if plan.device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {usable_cores()} cores", flush=True)
    errors = check(plan.device)
    if arguments.checks:
        return
    free()
    peak = peaks(plan.device, plan.side)
    print(f"  products {peak['flops'] / 1e12:.1f} TFLOP/s, copies {peak['bytes'] / 1e12:.2f} TB/s", flush=True)
    cores = min(JPEG_CORES, usable_cores())
    jpeg = jpeg_rate(cores, min(5.0, 20 * plan.turn_seconds))
    print(f"  loader from JPEG on {cores} cores: {jpeg:.0f} images/s", flush=True)
    found: dict[str, dict[int, dict[str, dict[str, float]]]] = {"training": {}, "prediction": {}}
    for number, size in enumerate(plan.batch_sizes):
        now = monotonic()
        share = (start + plan.seconds - now) / (len(plan.batch_sizes) - number)
        found["training"][size] = take_turns(
            plan, training_variants(plan.device, plan.pictures), size, now + TRAINING_SHARE * share
        )
        free()
        found["prediction"][size] = take_turns(plan, prediction_variants(plan.device), size, now + share)
        free()
    minutes = None
    if arguments.train:
        began = monotonic()
        train(RunOptions(data=arguments.train, net=NET, epochs=1), device=plan.device.type, workers=cores)
        minutes = (monotonic() - began) / 60
    for kind, rates in found.items():
        print_rates(kind, rates)
    figures = {
        size: bounds(size, rates, peak, jpeg) for size, rates in found["training"].items() if "ours eager" in rates
    }
    print(
        f"\n{training_flops() / 1e9:.3f} GFLOP an image; goals: {GOAL_HELD_MINUTES} minutes on the device, "
        f"{GOAL_JPEG_MINUTES} from JPEG with {JPEG_CORES} cores"
    )
    for size, values in figures.items():
        for what, value in values.items():
            print(f"{size:6}  {what:56} {value:10.3f}")
    if minutes is not None:
        print(f"one epoch of {arguments.train}: {minutes:.1f} minutes")
    print(f"{(monotonic() - start) / 60:.1f} minutes in all")
    if not arguments.quick:
        record(
            "gpu",
            {
                "device": name,
                "errors": errors,
                "peaks": peak,
                "jpeg": jpeg,
                "rates": found,
                "bounds": figures,
                "train_minutes": minutes,
            },
        )


if __name__ == "__main__":
    main()
