"""`alexnet evaluate DATA --weights W...`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.options import BATCH_SIZE, WORKERS, BatchSize, ClassOrder, Engine, GroundTruth, Precision, Workers
from alexnet.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from alexnet.evaluate import Evaluation

EXAMPLE = "tiny-imagenet --weights tiny-imagenet-200 --views ten"


def evaluate(
    data: Annotated[str, typer.Argument(help="A folder, shards, batches, or digits.", metavar="DATA")],
    weights: Annotated[list[str], typer.Option(help="A run folder or file; several are an ensemble.", metavar="W...")],
    more_weights: Annotated[list[str] | None, typer.Argument(help="More of the ensemble.", metavar="W")] = None,
    views: Annotated[Literal["center", "ten"], typer.Option(help="One crop an image, or the paper's ten.")] = "center",
    split: Annotated[str | None, typer.Option(help="train, val or test.", show_default="val, else test")] = None,
    ground_truth: GroundTruth = None,
    class_order: ClassOrder = "sorted",
    engine: Engine = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    json: AsJson = False,
) -> None:
    """Measure top-1 and top-5 error and loss of weights on a data set."""
    from dataclasses import asdict

    from alexnet.cli.progress import progress, say
    from alexnet.data.damaged import DamagedImages
    from alexnet.data.datasets import open_data
    from alexnet.errors import InputError
    from alexnet.evaluate import evaluate as measure
    from alexnet.memory import keep_memory
    from alexnet.predict import load
    from alexnet.weights.catalog import RUN_FILE, SUFFIXES

    keep_memory()
    if (Path(data) / RUN_FILE).is_file() or data.endswith(tuple(SUFFIXES.values())):
        raise InputError(f"{data} is weights; DATA comes first: alexnet evaluate DATA --weights W...")
    found = open_data(data, ground_truth, class_order)
    name = split or found.held_out
    if name is None:
        there = next(iter(found.splits))
        raise InputError(f"{found.name} holds no images out; measure on those there are: --split {there}")
    images = found.split(name)
    classifiers = [load(where, engine, precision=precision) for where in (*weights, *(more_weights or ()))]
    damaged = DamagedImages(len(images), say)
    with progress("evaluate", len(images), "images") as advance:
        measured = measure(
            classifiers,
            images,
            found.classes,
            views=views,
            batch_size=batch_size,
            workers=workers,
            progress=advance,
            on_damaged=damaged,
        )
    if json:
        print_json({**asdict(measured), "split": name})
    else:
        _print_measured(measured, found.name, name, len(classifiers))


def _print_measured(measured: "Evaluation", data: str, split: str, num_nets: int) -> None:
    print(f"top-1 error  {measured.top1_error:8.2%}")
    if measured.top5_error is not None:
        print(f"top-5 error  {measured.top5_error:8.2%}")
    print(f"loss         {measured.loss:8.4f}")
    nets = "1 net" if num_nets == 1 else f"{num_nets} nets"
    protocol = f"{measured.views} {'view' if measured.views == 'center' else 'views'}"
    print(f"{data} {split}, {measured.images:,} images, {protocol}, {nets}, {measured.images_per_second:,.0f} images/s")
