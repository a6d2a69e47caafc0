"""`alexnet train DATA`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from alexnet.cli.options import WORKERS, InputSize, Workers
from alexnet.cli.output import AsJson, is_first_process, print_json
from alexnet.cli.progress import Watcher

EXAMPLE = "photos --epochs 10"


def train(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Class folders, shards, batches, digits, or cifar10.")],
    net: Annotated[
        str | None, typer.Option(help="A new net of `alexnet nets`; default: the shipped weights, fine-tuned.")
    ] = None,
    input_size: InputSize = None,
    recipe: Annotated[
        str | None, typer.Option(help="How to train; default: the net's, from weights +fine-tune.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Weights to start from: a run folder, a file, a name.")] = None,
    ground_truth: Annotated[
        str | None, typer.Option(help="Labels of ILSVRC's flat validation images.", show_default="found beside them")
    ] = None,
    class_order: Annotated[
        Literal["sorted", "devkit"] | None, typer.Option(help="Classes by WordNet id (default), or as in 2012.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/<data>-<time>.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data; the recipe scales with them. Default: its own.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images an update; default: the recipe's.")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="First rate of the weights; the other rates scale with it. Default: the recipe's."),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None, typer.Option(help="Of products; auto: bf16 where it is fast.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")] = "auto",
    workers: Workers = WORKERS,
    seed: Annotated[int | None, typer.Option(min=0, help="Of all randomness; default: 0.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    limit_train_batches: Annotated[int | None, typer.Option(min=1, help="Steps an epoch at most.")] = None,
    parallel: Annotated[
        Literal["data", "towers", "one-weird-trick"],
        typer.Option(help="How devices, or processes of torchrun, share the work."),
    ] = "data",
    images_per_pass: Annotated[
        int | None,
        typer.Option(min=1, help="Of a step, at a time in each process: the same step in less memory."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Train a net on DATA and keep weights, measurements and curves in a run folder."""
    from alexnet.train.options import RunOptions
    from alexnet.train.run import train as run

    options = RunOptions(
        data=data,
        ground_truth=ground_truth,
        class_order=class_order,
        net=net,
        input_size=input_size,
        recipe=recipe,
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        precision=precision,
        limit_train_batches=limit_train_batches,
    )
    result = run(
        options,
        Watcher(),
        out=out,
        resume=resume,
        device=device,
        workers=workers,
        parallel=parallel,
        images_per_pass=images_per_pass,
    )
    if not is_first_process():
        return
    if json:
        print_json(asdict(result) | {"out": str(result.out)})
    else:
        print(f"weights, measurements and curves are in {result.out}")
