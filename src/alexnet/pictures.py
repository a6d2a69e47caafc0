"""Pictures of runs and nets, as PNG files written whole or not at all. Needs matplotlib (extra: plot)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from alexnet.atomic import write_whole
from alexnet.data.splits import first_name
from alexnet.errors import MissingExtraError
from alexnet.predict import Prediction
from alexnet.similar import Neighbour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 120
_LONGEST_NAME = 28  # characters that fit the place of a picture
_WIDEST_LABEL = 26  # characters of a class name over a picture
RIGHT, WRONG = "#1a7f37", "#cf222e"


def draw_curves(records: Sequence[Mapping[str, Any]], chance_loss: float, path: Path) -> None:
    """Loss and errors over steps, from the records of metrics.jsonl; chance is ln of the number of classes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(10, 4)
    losses, errors = figure.subplots(1, 2)
    for split in sorted({record["split"] for record in records}, key=lambda name: name != "train"):
        rows = [record for record in records if record["split"] == split]
        steps = [record["step"] for record in rows]
        style = "-" if split == "train" else "o-"
        losses.plot(steps, [record["loss"] for record in rows], style, label=split, markersize=4)
        for key, name in (("top1_error", "top-1"), ("top5_error", "top-5")):
            if rows[0].get(key) is not None:
                errors.plot(steps, [record[key] for record in rows], style, label=f"{split} {name}", markersize=4)
    losses.axhline(chance_loss, color="grey", linewidth=1, linestyle="--", label="chance")
    losses.set(xlabel="step", ylabel="loss (nats)")
    errors.set(xlabel="step", ylabel="error", ylim=(0, 1))
    for axes in (losses, errors):
        if axes.lines:
            axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def draw_kernels(filters: NDArray[np.float32], path: Path) -> None:
    """First-layer filters (K, 3, k, k) side by side, each stretched to its own full range, as in figure 3.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    low = filters.min(axis=(1, 2, 3), keepdims=True)
    span = np.maximum(filters.max(axis=(1, 2, 3), keepdims=True) - low, np.finfo(np.float32).tiny)
    kernels = ((filters - low) / span).transpose(0, 2, 3, 1)
    columns = min(16, len(kernels))
    rows = -(-len(kernels) // columns)
    figure = new_figure(columns * 0.5, rows * 0.5)
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, kernel in zip(figure.axes, kernels, strict=False):
        axes.imshow(kernel, interpolation="nearest")
    save_figure(figure, path)


def draw_predictions(
    images: Sequence[Image],
    answers: Sequence[Sequence[Prediction]],
    truths: Sequence[str],
    path: Path,
    columns: int = 6,
) -> None:
    """Images with their most probable classes on bars, the true one in green, another first one in red (figure 4).

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure(columns * 1.8, rows * 2.6)
    for place, (image, ranked, truth) in enumerate(zip(images, answers, truths, strict=True)):
        picture = figure.add_subplot(2 * rows, columns, 2 * columns * (place // columns) + place % columns + 1)
        picture.imshow(image, interpolation="nearest")
        color = RIGHT if ranked[0].label == truth else WRONG
        picture.set_title(_short(truth), fontsize=8, color=color, parse_math=False)
        picture.axis("off")
        bars = figure.add_subplot(2 * rows, columns, 2 * columns * (place // columns) + columns + place % columns + 1)
        names = [answer.label for answer in ranked]
        colors = [RIGHT if name == truth else WRONG if name == names[0] else "lightgrey" for name in names]
        bars.barh(range(len(names)), [answer.probability for answer in ranked], color=colors, alpha=0.6)
        for index, name in enumerate(names):
            bars.text(0.02, index, _short(name), fontsize=7, va="center", parse_math=False)
        bars.set(xlim=(0, 1), xticks=[], yticks=[])
        bars.invert_yaxis()
        bars.spines[["top", "right", "bottom"]].set_visible(False)
    save_figure(figure, path)


def draw_similar(image: Image, found: Sequence[tuple[Image | None, Neighbour]], path: Path) -> None:
    """An image and, to the right of it, those found near it with their distances (figure 4, right).

    One that cannot be shown (None) has its path in its place.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    captions = [""] + ["\n".join(filter(None, [near.label, f"{near.distance:.4g}"])) for _, near in found]
    figure = new_figure(1.5 * len(captions), 2)
    pictures = [(image, ""), *((picture, near.path) for picture, near in found)]
    for axes, (picture, name), caption in zip(figure.subplots(1, len(captions)), pictures, captions, strict=True):
        if picture:
            axes.imshow(picture, interpolation="nearest")
        else:
            axes.text(
                0.5, 0.5, _drawable(name[-_LONGEST_NAME:]), fontsize=6, ha="center", va="center", parse_math=False
            )
        axes.set_title(_drawable(caption), fontsize=8, parse_math=False)
        axes.axis("off")
    save_figure(figure, path)


def _short(label: str) -> str:
    """The first name of a class, drawable, and cut where it is wider than a picture."""
    first = _drawable(first_name(label))
    return first if len(first) <= _WIDEST_LABEL else f"{first[: _WIDEST_LABEL - 3]}..."


def _drawable(text: str) -> str:
    """`text` with question marks for the bytes of file names that are not UTF-8, which no font has."""
    return text.encode("utf-8", "replace").decode()


def new_figure(width: float, height: float) -> "Figure":
    """A figure of so many inches, without pyplot: nothing global, no window.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError("matplotlib", "plot") from None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG."""
    with write_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
