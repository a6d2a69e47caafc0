"""What takes turns on the device: ways to train a net and to predict with it, each a step that can be run again."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import ArraySplit
from alexnet.nn import InputLayer, create, fused
from alexnet.preprocess import Preprocessing
from alexnet.train.compiled import MODE
from alexnet.train.on_device import DeviceBatch, DeviceLoader
from ours import MEAN, NET, random_batch, trainer_of
from twin import stock_krizhevsky_145

Step = Callable[[], object]
Variants = dict[str, Callable[[DeviceBatch], Step]]


def on_device(size: int, device: torch.device) -> DeviceBatch:
    """Random images that are there already."""
    batch = random_batch(size)
    images, labels = torch.from_numpy(batch.images), torch.from_numpy(batch.labels)
    return DeviceBatch(images.to(device), labels.to(device), None, batch.indices)


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


def training_variants(device: torch.device, pictures: int) -> Variants:
    """The important ones first."""
    variants: Variants = {
        "ours compiled": lambda batch: ours(batch, compiled=True),
        "ours compiled, held": lambda batch: held(batch, pictures=pictures),
        "stock eager": lambda batch: stock(batch, stock_krizhevsky_145(), compiled=False),
        "stock compiled": lambda batch: stock(batch, stock_krizhevsky_145(), compiled=True),
        "ours compiled, no norms": lambda batch: ours(batch, compiled=True, net=f"{NET}+no-lrn"),
        "ours eager": lambda batch: ours(batch, compiled=False),
        "ours eager, no norms": lambda batch: ours(batch, compiled=False, net=f"{NET}+no-lrn"),
        "torchvision eager": lambda batch: stock(batch, torchvision_alexnet(), compiled=False),
        "torchvision compiled": lambda batch: stock(batch, torchvision_alexnet(), compiled=True),
    }
    return for_device(device, variants)


def prediction_variants(device: torch.device) -> Variants:
    nets: dict[str, Callable[[], nn.Module]] = {
        "ours": lambda: create(NET, seed=0),
        "stock": stock_krizhevsky_145,
        "torchvision": torchvision_alexnet,
    }
    variants: Variants = {
        f"{name} {way}": partial(predicting, net, compiled=way == "compiled")
        for way in ("compiled", "eager")
        for name, net in nets.items()
    }
    return for_device(device, variants)


def predicting(net: Callable[[], nn.Module], batch: DeviceBatch, *, compiled: bool) -> Step:
    return prediction(batch, net(), compiled=compiled)


def for_device(device: torch.device, variants: Variants) -> Variants:
    """CUDA graphs are of CUDA: elsewhere nothing is compiled."""
    return {name: make for name, make in variants.items() if device.type == "cuda" or "eager" in name}
