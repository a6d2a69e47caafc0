"""`alexnet train DATA`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import print_json
from alexnet.cli.progress import Watcher

EXAMPLE = "photos --net krizhevsky-145 --epochs 10"


def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Class folders, shards, batches or digits.")],
    net: Annotated[str | None, typer.Option(help="A net of `alexnet nets`; default: krizhevsky-145.")] = None,
    recipe: Annotated[str | None, typer.Option(help="How to train; default: the net's own recipe.")] = None,
    weights: Annotated[str | None, typer.Option(help="Weights to start from: a run folder or a file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/<data>-<time>.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data; the recipe is scaled to it.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images an update.")] = None,
    lr: Annotated[float | None, typer.Option(help="First rate of the weights; the other rates scale with it.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode.", show_default="all cores")] = (
        os.cpu_count() or 1
    ),
    seed: Annotated[int | None, typer.Option(min=0, help="Of all randomness; default: 0.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    limit_train_batches: Annotated[int | None, typer.Option(min=1, help="Steps an epoch at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a net on DATA and keep weights, measurements and curves in a run folder."""
    from alexnet.train.options import RunOptions
    from alexnet.train.run import train as run

    options = RunOptions(
        data=data,
        net=net,
        recipe=recipe,
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        precision=precision,
        limit_train_batches=limit_train_batches,
    )
    result = run(options, Watcher(), out=out, resume=resume, device=device, workers=workers)
    if as_json:
        print_json(asdict(result) | {"out": str(result.out)})
    else:
        print(f"weights, measurements and curves are in {result.out}")
