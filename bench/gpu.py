"""How fast does the 2012 net train and predict on a GPU, is it right there, and what bounds it?

    PYTHONPATH=src python bench/gpu.py                     all of it, under eight minutes on one H100 or H200
    PYTHONPATH=src python bench/gpu.py --device cpu --quick     the script itself, tried where there is no GPU
    ... --train FOLDER                                     and the minutes of one epoch of `alexnet train FOLDER`

First the numbers: norms, pools, logits, gradients and one update against the CPU. Then, for every batch size, all
variants take turns in every round, each for as many steps as fill a moment, timed by events on the device; printed are
medians of images/s with the smallest and largest round. A step is forward, backward and update on uint8 images that are
on the device already, in bf16 under autocast. "Stock" is net 145 of torch's own layers (twin.py), "torchvision" its net
of that name; "compiled" is torch.compile with CUDA graphs. "Held" adds to ours what draws each batch from 64-pixel
pictures kept on the device. Peaks, of products and of a copy, are measured in the same run. Where time runs short the
variants that are left out are named. Pictures are noise: rates do not depend on them.
"""

import argparse
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import count
from math import prod
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.arch import find
from alexnet.arch.shapes import measure
from alexnet.arch.spec import IMAGE, Dropout, Relu, Softmax, Tanh
from alexnet.cores import usable_cores
from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import ArraySplit
from alexnet.nn import InputLayer, LocalResponseNorm, create, fused
from alexnet.nn.pool import MaxPool2d
from alexnet.nn.same_map import SameMapNorm as SameMap
from alexnet.preprocess import Preprocessing
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.train.compiled import MODE
from alexnet.train.loop import Trainer
from alexnet.train.on_device import DeviceBatch, DeviceLoader
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from record import record, spread
from twin import stock_krizhevsky_145

NET, MEAN = "krizhevsky-145", (123.0, 117.0, 104.0)
EPOCHS, IMAGES = 90, 1_281_167  # of ILSVRC-2012
GOAL_HELD_MINUTES, GOAL_JPEG_MINUTES, JPEG_CORES = 25, 60, 16
TRAINING_SHARE = 0.7  # of the time
ELEMENTWISE = (Relu, Tanh, Dropout, Softmax)  # a compiler makes them part of their neighbours

Step = Callable[[], object]


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


# --- right ------------------------------------------------------------------------------------------------------------


def far(found: Tensor, exact: Tensor) -> float:
    """The largest difference, as a part of the largest number."""
    found, exact = found.detach().cpu().double(), exact.detach().double()
    return float((found - exact).abs().max() / exact.abs().max())


def apart(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """The length of the difference, as a part of the length; of all tensors in one."""
    ours, theirs = (torch.cat([tensor.detach().flatten() for tensor in tensors]) for tensors in (found, exact))
    return float((ours - theirs).norm() / theirs.norm())


def check_layers(device: torch.device) -> dict[str, float]:
    """Values and gradients of each layer on the device, fp32 and bf16, against float64 on the CPU."""
    layers = {
        "lrn": LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2),
        "same-map norm": SameMap(5, 1e-3, 0.75),
        "pool": MaxPool2d(3, 2, ceil_mode=True),
    }
    errors = {}
    for name, layer in layers.items():
        for dtype in (torch.float32, torch.bfloat16):
            x = (torch.randn(4, 96, 27, 27) * 50).to(dtype).contiguous(memory_format=torch.channels_last)
            exact, on_device = x.double().requires_grad_(), x.to(device).requires_grad_()
            y, expected = layer(on_device), layer(exact)
            weight = torch.randn_like(expected).to(dtype)
            (grad,) = torch.autograd.grad(y, on_device, weight.to(device))
            (wanted,) = torch.autograd.grad(expected, exact, weight.double())
            errors[f"{name} {str(dtype)[6:]}"] = max(far(y, expected), far(grad, wanted))
    return errors


def check_net(device: torch.device) -> dict[str, float]:
    """Logits, gradients and one update of net 145 without dropout, whose random numbers are each device's own."""
    batch, net = random_batch(8, torch.device("cpu")), create(f"{NET}+no-dropout", seed=0)
    errors, trainers = {}, {}
    for where, dtype in (("cpu", torch.float32), (device.type, torch.float32), (device.type, torch.bfloat16)):
        twin = create(f"{NET}+no-dropout", seed=0)
        trainer = trainer_of(twin, torch.device(where), batch_size=8, dtype=dtype)
        trainer.net.eval()
        x = trainer.inputs(batch.images.to(where), dtype=dtype)
        with torch.autocast(where, dtype, enabled=dtype != torch.float32):
            logits = trainer.net(x).float()
        F.cross_entropy(logits, batch.labels.to(where)).backward()  # type: ignore[no-untyped-call]
        grads = [parameter.grad.cpu() for parameter in trainer.net.parameters() if parameter.grad is not None]
        trainer.optimizer.optimizer.zero_grad(set_to_none=True)
        trainer.step(batch, 0)  # compiled, on CUDA
        moved = [
            after.detach().cpu() - before for after, before in zip(twin.parameters(), net.parameters(), strict=True)
        ]
        trainers[where, dtype] = logits.detach().cpu(), *grads, *moved
    exact = trainers["cpu", torch.float32]
    for (where, dtype), found in trainers.items():
        half = 1 + (len(found) - 1) // 2
        for what, part in (("logits", slice(1)), ("gradients", slice(1, half)), ("update", slice(half, None))):
            errors[f"{what} {where} {str(dtype)[6:]}"] = apart(found[part], exact[part])
    return errors


# --- what takes turns -------------------------------------------------------------------------------------------------


def random_batch(size: int, device: torch.device) -> DeviceBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, 3, 224, 224), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 1000, (size,), generator=generator)
    images = images.to(device).contiguous(memory_format=torch.channels_last)
    return DeviceBatch(images, labels.to(device), None, np.arange(size))


def trainer_of(net: Any, device: torch.device, *, batch_size: int, dtype: torch.dtype = torch.bfloat16) -> Trainer:
    recipe = replace(KRIZHEVSKY_145, batch_size=batch_size)
    inputs = InputLayer(Preprocessing(mean=MEAN))
    return Trainer(net, recipe, inputs, device=device, dtype=dtype, seed=0, total_steps=1_000_000, say=say)


def say(line: str) -> None:
    print(f"  ! {line}", flush=True)


def ours(batch: DeviceBatch, *, compiled: bool, net: str = NET) -> Step:
    os.environ[fused.SWITCH] = "1" if compiled else "0"
    trainer, steps = trainer_of(create(net, seed=0), batch.images.device, batch_size=len(batch.labels)), count()
    os.environ[fused.SWITCH] = "1"  # norms by themselves are fused in either case
    return lambda: trainer.step(batch, next(steps))


def held(batch: DeviceBatch, *, pictures: int) -> Step:
    size, rng = len(batch.labels), np.random.default_rng(0)
    many = rng.integers(0, 256, (max(pictures, 4 * size), 64, 64, 3), np.uint8)
    split = ArraySplit(many, rng.integers(0, 1000, len(many)), range(len(many)))  # type: ignore[arg-type]
    options = LoaderOptions(
        batch_size=size, resize=256, interpolation="bilinear", crop=224, crops="chunk", flip=True, seed=0
    )
    loader = DeviceLoader(TrainLoader(split, options), batch.images.device, lambda _: None, free_bytes=1 << 34)
    trainer = trainer_of(create(NET, seed=0), batch.images.device, batch_size=size)

    def batches() -> Iterator[DeviceBatch]:
        for epoch in count():
            yield from (batch for batch in loader.epoch(epoch) if len(batch.labels) == size)

    endless, steps = batches(), count()
    return lambda: trainer.step(next(endless), next(steps))


def stock(batch: DeviceBatch, module: nn.Module, *, compiled: bool) -> Step:
    """What one would write with torch alone, kindly: bf16, channels-last, fused update, images on the device."""
    device = batch.images.device
    net = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9, weight_decay=5e-4, fused=True)

    def loss_of(images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return F.cross_entropy(net(images.float() - mean), labels)

    loss_of = compile_(loss_of) if compiled else loss_of

    def step() -> None:
        loss_of(batch.images, batch.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def torchvision_alexnet() -> nn.Module:
    """torchvision's `alexnet`, row by row."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True)),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000)),
    )


def compile_(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.compile(function, dynamic=False, mode=MODE)


def prediction(batch: DeviceBatch, module: nn.Module, *, compiled: bool) -> Step:
    """Logits of uint8 images, weights converted to bf16 once."""
    device = batch.images.device
    net = module.to(device, torch.bfloat16, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    inputs = InputLayer(Preprocessing(mean=MEAN)).to(device)

    def logits_of(images: Tensor) -> Tensor:
        logits: Tensor = net(inputs(images, dtype=torch.bfloat16))
        return logits

    logits_of = compile_(logits_of) if compiled else logits_of

    def step() -> None:
        with torch.no_grad():
            logits_of(batch.images)

    return step


def training_variants(plan: Plan) -> dict[str, Callable[[DeviceBatch], Step]]:
    """The important ones first."""
    variants: dict[str, Callable[[DeviceBatch], Step]] = {
        "ours compiled": lambda batch: ours(batch, compiled=True),
        "ours compiled, held": lambda batch: held(batch, pictures=plan.pictures),
        "stock eager": lambda batch: stock(batch, stock_krizhevsky_145(), compiled=False),
        "stock compiled": lambda batch: stock(batch, stock_krizhevsky_145(), compiled=True),
        "ours compiled, no norms": lambda batch: ours(batch, compiled=True, net=f"{NET}+no-lrn"),
        "ours eager": lambda batch: ours(batch, compiled=False),
        "ours eager, no norms": lambda batch: ours(batch, compiled=False, net=f"{NET}+no-lrn"),
        "torchvision eager": lambda batch: stock(batch, torchvision_alexnet(), compiled=False),
        "torchvision compiled": lambda batch: stock(batch, torchvision_alexnet(), compiled=True),
    }
    return for_device(plan, variants)


def prediction_variants(plan: Plan) -> dict[str, Callable[[DeviceBatch], Step]]:
    nets: dict[str, Callable[[], nn.Module]] = {
        "ours": lambda: create(NET, seed=0),
        "stock": stock_krizhevsky_145,
        "torchvision": torchvision_alexnet,
    }
    variants: dict[str, Callable[[DeviceBatch], Step]] = {
        f"{name} {way}": partial(predicting, net, compiled=way == "compiled")
        for way in ("compiled", "eager")
        for name, net in nets.items()
    }
    return for_device(plan, variants)


def predicting(net: Callable[[], nn.Module], batch: DeviceBatch, *, compiled: bool) -> Step:
    return prediction(batch, net(), compiled=compiled)


def for_device(plan: Plan, variants: dict[str, Callable[[DeviceBatch], Step]]) -> dict[str, Callable[..., Step]]:
    """CUDA graphs are of CUDA: elsewhere nothing is compiled."""
    return {name: make for name, make in variants.items() if plan.device.type == "cuda" or "eager" in name}


# --- the clock --------------------------------------------------------------------------------------------------------


def seconds_of(run: Step, times: int, device: torch.device) -> float:
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


def take_turns(
    plan: Plan, variants: dict[str, Callable[[DeviceBatch], Step]], size: int, until: float
) -> dict[str, dict[str, float]]:
    """Images/s of every variant that there is memory and time to make."""
    batch, steps, times = random_batch(size, plan.device), {}, {}
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


def free() -> None:
    """Graphs and their memory, before the next batch size."""
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()


# --- what bounds it ---------------------------------------------------------------------------------------------------


def peaks(plan: Plan) -> dict[str, float]:
    """FLOP/s of the best bf16 product, and bytes/s of a copy (read and written)."""
    sides = (plan.side // 2, plan.side)
    products = []
    for side in sides:
        a, b = (torch.randn(side, side, device=plan.device, dtype=torch.bfloat16) for _ in range(2))
        seconds_of(lambda a=a, b=b: a @ b, 3, plan.device)  # type: ignore[misc]
        products += [2 * side**3 / seconds_of(lambda a=a, b=b: a @ b, 10, plan.device) for _ in range(3)]  # type: ignore[misc]
    source = torch.empty(plan.side**2 * 8, dtype=torch.uint8, device=plan.device)
    target = torch.empty_like(source)
    seconds_of(lambda: target.copy_(source), 3, plan.device)
    copies = [2 * source.nbytes / seconds_of(lambda: target.copy_(source), 10, plan.device) for _ in range(3)]
    return {"flops": max(products), "bytes": max(copies)}


def training_flops() -> int:
    """Of one image: two a multiply-add, forward, and backward to inputs and weights; the image needs no gradient."""
    return sum(2 * shape.macs * (2 if IMAGE in shape.inputs else 3) for shape in measure(find(NET)))


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


# --- the report -------------------------------------------------------------------------------------------------------


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
    parser.add_argument("--train", metavar="FOLDER", help="train one epoch of this data, such as tiny-imagenet")
    arguments = parser.parse_args()
    plan = Plan(torch.device(arguments.device), *(QUICK if arguments.quick else FULL))
    if plan.device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; the script itself can be tried with --device cpu --quick")
    start = monotonic()
    name = torch.cuda.get_device_name() if plan.device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {usable_cores()} cores", flush=True)
    least, fused.LEAST_NUMBERS = fused.LEAST_NUMBERS, 1  # the layers are checked as they are for large batches
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False  # float32 is compared as float32
    errors = check_layers(plan.device) | check_net(plan.device)
    fused.LEAST_NUMBERS, torch.backends.cudnn.allow_tf32 = least, tf32
    for what, error in errors.items():
        print(f"  {what:28} off by {error:.1e}", flush=True)
    free()
    peak = peaks(plan)
    print(f"  products {peak['flops'] / 1e12:.1f} TFLOP/s, copies {peak['bytes'] / 1e12:.2f} TB/s", flush=True)
    cores = min(JPEG_CORES, usable_cores())
    jpeg = jpeg_rate(cores, min(5.0, 20 * plan.turn_seconds))
    print(f"  loader from JPEG on {cores} cores: {jpeg:.0f} images/s", flush=True)
    found: dict[str, dict[int, dict[str, dict[str, float]]]] = {"training": {}, "prediction": {}}
    for number, size in enumerate(plan.batch_sizes):
        now = monotonic()
        share = (start + plan.seconds - now) / (len(plan.batch_sizes) - number)
        found["training"][size] = take_turns(plan, training_variants(plan), size, now + TRAINING_SHARE * share)
        free()
        found["prediction"][size] = take_turns(plan, prediction_variants(plan), size, now + share)
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
