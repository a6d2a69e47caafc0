"""`alexnet evaluate DATA --weights W...`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from alexnet.cli.options import BATCH_SIZE, WORKERS, BatchSize, ClassOrder, Engine, GroundTruth, Precision, Workers
from alexnet.cli.output import AsJson, print_json
from alexnet.cli.parts import ImagesPerPart, going_on, parts_json, print_parts, watch
from alexnet.errors import InputError

if TYPE_CHECKING:
    from alexnet.evaluate import Evaluation
    from alexnet.parts.job import Process
    from alexnet.train.ranks import Ranks

EXAMPLE = "tiny-imagenet --weights tiny-imagenet-200"


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
    out: Annotated[
        Path | None, typer.Option(help="A folder for the errors of parts; the same command goes on there.")
    ] = None,
    images_per_part: ImagesPerPart = None,
    json: AsJson = False,
) -> None:
    """Measure top-1 and top-5 error and loss of weights on a data set."""
    from dataclasses import asdict, fields
    from functools import partial

    from alexnet.cli.progress import say
    from alexnet.data.collection import Collection
    from alexnet.data.damaged import DamagedImages
    from alexnet.data.datasets import open_data
    from alexnet.evaluate import Evaluation, all_here
    from alexnet.evaluate import evaluate as measure
    from alexnet.memory import keep_memory
    from alexnet.parts.evaluation import evaluate_parts, total
    from alexnet.parts.job import IMAGES_PER_PART, this_process
    from alexnet.predict import load
    from alexnet.weights.catalog import RUN_FILE, SUFFIXES

    process = this_process()
    if out is None and images_per_part is not None:
        raise InputError("--images-per-part is for parts: name a folder with --out")
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
    settings: dict[str, Any] = {
        "views": views,
        "batch_size": batch_size,
        "workers": workers,
        "on_damaged": DamagedImages(len(images), say),
    }
    outcome, measured = None, None
    unit = (images_per_part or IMAGES_PER_PART) if out else batch_size
    with (
        going_on(process),
        _joined(process, out) as ranks,
        watch(process, "evaluate", len(images), unit) as advance,
    ):
        settings["progress"] = advance
        if out is None:
            divide = all_here
            if ranks:
                from alexnet.train.ranks import DamagedAnywhere

                settings["on_damaged"] = anywhere = DamagedAnywhere(ranks, settings["on_damaged"])
                divide = partial(ranks.divide, damaged=anywhere)
            measured = measure(classifiers, images, found.classes, divide=divide, **settings)
        else:
            collection = Collection(images, found.classes)
            settings |= {"images_per_part": images_per_part or IMAGES_PER_PART, "precision": precision}
            work = partial(evaluate_parts, classifiers, collection, out, process, **settings)
            outcome = ranks.together(work, patiently=True) if ranks else work()
            measured = total(outcome, len(classifiers[0].classes), views)
    if not process.is_first:
        return
    parts = {"out": str(out), "parts": parts_json(outcome)} if outcome else {}
    if json:
        shown = asdict(measured) if measured else dict.fromkeys(field.name for field in fields(Evaluation))
        print_json({**shown, "split": name, **parts})
        return
    if measured:
        _print_measured(measured, found.name, name, len(classifiers))
    if outcome:
        print_parts(outcome)
        if not measured:
            print("once all are there, the same command without RANK and WORLD_SIZE sums up")


@contextmanager
def _joined(process: "Process", out: Path | None) -> "Iterator[Ranks | None]":
    """The processes of torchrun, which wait for each other; None for one alone, and where files are all they share.

    Raises:
        InputError: several share neither; or they do not find each other.
    """
    is_by_hand = "MASTER_ADDR" not in os.environ
    if process.count == 1 or (out and is_by_hand):
        yield None
        return
    if is_by_hand:
        raise InputError(f"{process.count} processes share nothing yet: use torchrun, or name a folder with --out")
    import torch

    from alexnet.train.joining import joined

    with joined(torch.device("cpu")) as ranks:  # they exchange a few numbers
        yield ranks


def _print_measured(measured: "Evaluation", data: str, split: str, num_nets: int) -> None:
    print(f"top-1 error  {measured.top1_error:8.2%}")
    if measured.top5_error is not None:
        print(f"top-5 error  {measured.top5_error:8.2%}")
    print(f"loss         {measured.loss:8.4f}")
    nets = "1 net" if num_nets == 1 else f"{num_nets} nets"
    protocol = f"{measured.views} {'view' if measured.views == 'center' else 'views'}"
    rate = "" if measured.images_per_second is None else f", {measured.images_per_second:,.0f} images/s"
    print(f"{data} {split}, {measured.images:,} images, {protocol}, {nets}{rate}")
