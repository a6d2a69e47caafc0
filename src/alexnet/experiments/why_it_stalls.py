"""Why re-implementations of the paper's prose stall: how much of an image is left at each layer before any training.

Claim: with standard deviations of 0.03 in conv3 to conv5, which the paper does not mention, about twenty times more of
    an image reaches fc6, and of the gradient conv1, than with its 0.01; pixels of unit variance lose as much again.
Setting: initial nets of one draw (seed 0) on the central crops of sixteen photographs less their mean colour; a layer's
    signal is the standard deviation of a unit across the images, averaged over the units.
Run: python -m alexnet.experiments.why_it_stalls PHOTOS --curves LOG_A LOG_B --out PICTURE.png
    LOG_A and LOG_B are of `first_steps`, with the rows' own standard deviations and with 0.01.
Report: the signals of every variant as a table, and a picture of them beside the two training losses.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from alexnet.arch import find
from alexnet.arch.rows import Weighted
from alexnet.arch.spec import Spec
from alexnet.data.collection import image_files
from alexnet.errors import InputError
from alexnet.experiments.first_steps import with_weight_std
from alexnet.nn import build
from alexnet.pictures import new_figure, save_figure
from alexnet.preprocess import extract_views, open_image, resize_image

NUM_IMAGES, CANVAS, SEED = 16, 256, 0
LAYERS = ("pool1", "pool2", "conv3:pre", "conv4:pre", "conv5:pre", "fc6:pre", "fc8")
CURVES = ("net 145, as run in 2012", "net 145, std 0.01 everywhere")  # the variants whose first steps are shown
NUM_CLASSES = 200  # of the data they were trained on
UNIT_STD = 1 / 58  # brings pixels to a standard deviation near 1, as most data pipelines of today do


@dataclass(frozen=True)
class Variant:
    """A way to start: a net with its initial values, and what pixels of 0 to 255 are multiplied by."""

    name: str
    spec: Spec
    scale: float = 1.0


@dataclass(frozen=True)
class Signal:
    """What is left of the images in an initial net.

    by_layer: the mean over units of their standard deviation across images, from `image` on, without dropout; conv and
        fc rows before their ReLU.
    fc6_switched: the share of fc6's units that some of the images switch on and others off.
    conv1_gradient: root mean square of conv1's gradient over that of its weights, in training, with dropout.
    """

    by_layer: Mapping[str, float]
    fc6_switched: float
    conv1_gradient: float


def with_bias(spec: Spec, bias: float) -> Spec:
    """The net with another value for every initial bias that is not 0."""
    rows = [row for row in spec.rows if isinstance(row, Weighted) and row.bias_init]
    return spec.with_rows({row.name: replace(row, bias_init=bias) for row in rows})


def variants() -> tuple[Variant, ...]:
    """The run of 2012, what the prose makes of it, Caffe's two ways out, and two usual scales of the pixels."""
    net, paper, caffe = find("krizhevsky-145"), find("paper-2012"), find("caffe")
    return (
        Variant(CURVES[0], net),
        Variant(CURVES[1], with_weight_std(net, 0.01)),
        Variant("the paper's text", paper),
        Variant("Caffe's net, bias 1", with_bias(caffe, 1.0)),
        Variant("Caffe's net, as shipped", caffe),
        Variant("the paper's text, pixels / 58", paper, UNIT_STD),
        Variant("net 145, pixels / 58", net, UNIT_STD),
        Variant("net 145, pixels / 255", net, 1 / 255),
    )


def centred_crops(photos: str | Path, crop: int) -> NDArray[np.float32]:
    """The first sixteen photographs of a folder, float32 (16, 3, crop, crop), RGB, 0 to 255 less their mean colour.

    Raises:
        ImageError: one of them is not a whole image.
    """
    files = image_files(photos)[:NUM_IMAGES]
    canvases = np.stack([resize_image(open_image(file), CANVAS, "bilinear") for file in files])
    crops: NDArray[np.float32] = extract_views(canvases, crop, "center")[0].astype(np.float32)
    crops -= crops.mean(axis=(0, 2, 3), keepdims=True)
    return crops


def measure_signal(variant: Variant, photos: str | Path) -> Signal:
    """What reaches the layers of one initial net, and what comes back to conv1 with a label of its own an image."""
    net = build(variant.spec, seed=SEED)
    images = torch.from_numpy(centred_crops(photos, variant.spec.input[1])) * variant.scale
    with torch.no_grad():
        outputs = net.eval().features(images, LAYERS)
    torch.manual_seed(SEED)  # of dropout
    loss = F.cross_entropy(net.train()(images), torch.arange(len(images)))
    loss.backward()  # type: ignore[no-untyped-call]
    weight = net.get_parameter("conv1.weight")
    assert weight.grad is not None
    return Signal(
        by_layer={"image": _signal(images)}
        | {layer.removesuffix(":pre"): _signal(output) for layer, output in outputs.items()},
        fc6_switched=_switched(outputs["fc6:pre"]),
        conv1_gradient=float(weight.grad.norm() / weight.detach().norm()),
    )


def _signal(outputs: Tensor) -> float:
    return float(outputs.std(dim=0, correction=0).mean())


def _switched(outputs: Tensor) -> float:
    on = outputs > 0
    return float((on.any(dim=0) & ~on.all(dim=0)).float().mean())


def table(signals: Mapping[str, Signal]) -> str:
    """The signals by variant, in Markdown."""
    heads = ("variant", *next(iter(signals.values())).by_layer, "fc6 switched", "conv1 gradient / weight")
    rows = [
        (name, *(f"{value:.2g}" for value in (*signal.by_layer.values(), signal.fc6_switched, signal.conv1_gradient)))
        for name, signal in signals.items()
    ]
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(signals: Mapping[str, Signal], curves: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Left, the signal by layer, a line a variant; right, the training loss by step of runs begun as two of them.

    `curves`: by the name of their variant, the records of a log, drawn as far as the shortest goes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(12, 5)
    layers, losses = figure.subplots(1, 2)
    color = {}
    for name, signal in signals.items():
        [line] = layers.semilogy(list(signal.by_layer), list(signal.by_layer.values()), "o-", label=name, markersize=3)
        color[name] = line.get_color()
    layers.set(ylabel="standard deviation across images (mean over units)", title="What is left of the image at first")
    layers.legend(frameon=False, fontsize=7)
    end = min(records[-1]["step"] for records in curves.values())
    for name, records in curves.items():
        shown = [record for record in records if record["split"] == "train" and record["step"] <= end]
        steps, values = [record["step"] for record in shown], [record["loss"] for record in shown]
        losses.plot(steps, values, "o-", label=name, markersize=3, color=color[name])
    losses.axhline(log(NUM_CLASSES), color="grey", linewidth=1, linestyle="--", label="chance, ln 200")
    losses.set(xlabel="step", ylabel="training loss (nats)", title="What the loss makes of it, Tiny ImageNet")
    losses.legend(frameon=False, fontsize=8)
    for axes in (layers, losses):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a log as `first_steps` and run folders write it.

    Raises:
        InputError: there are none.
    """
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if not records:
        raise InputError(f"{path}: an empty log; let first_steps run for more steps")
    return records


def main(arguments: list[str] | None = None) -> None:
    """The command at the head of this file."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder with sixteen photographs or more, at any depth")
    parser.add_argument(
        "--curves", nargs=2, type=Path, required=True, metavar="LOG", help=f"of {' and of '.join(CURVES)}"
    )
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG")
    asked = parser.parse_args(arguments)
    logs = [read_log(log) for log in asked.curves]
    signals = {variant.name: measure_signal(variant, asked.photos) for variant in variants()}
    draw(signals, dict(zip(CURVES, logs, strict=True)), asked.out)
    print(table(signals))


if __name__ == "__main__":
    main()
