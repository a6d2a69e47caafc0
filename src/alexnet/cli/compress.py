"""`alexnet compress WEIGHTS DST`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.options import WORKERS, Workers
from alexnet.cli.output import AsJson, print_json
from alexnet.cli.progress import Watcher

if TYPE_CHECKING:
    from alexnet.compress import Compressed

EXAMPLE = "runs/my-run small.safetensors --data photos"

# What training alone makes use of.
_TRAINING = (
    *("mib", "epochs", "batch_size", "lr", "precision", "device", "workers", "seed", "resume", "limit_train_batches"),
)


def compress(
    context: typer.Context,
    weights: Annotated[str, typer.Argument(help="A run folder, a file of weights, or a name.", metavar="WEIGHTS")],
    destination: Annotated[Path, typer.Argument(help="The .safetensors file to write.", metavar="DST")],
    data: Annotated[
        str | None,
        typer.Option(help="DATA to train and measure on meanwhile; without, nothing is pruned.", metavar="DATA"),
    ] = None,
    mib: Annotated[float, typer.Option(min=0.01, help="The size to reach, in MiB.")] = 8.0,
    epochs: Annotated[int, typer.Option(min=2, help="Passes over the data.")] = 10,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images an update; default: the recipe's.")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="First rate of pruning, a sixth of it of sharing values; default: 0.3 of the recipe's."),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], typer.Option(help="Of products; auto: bf16 where it is fast.")
    ] = "auto",
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")] = "auto",
    workers: Workers = WORKERS,
    seed: Annotated[int, typer.Option(min=0, help="Of all randomness.")] = 0,
    licence: Annotated[
        str | None, typer.Option(help="Under which you publish the file; default: the original's.")
    ] = None,
    reduce_to: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels that larger pictures are reduced to, for a net that knows small ones alone."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue what was begun for DST.")] = False,
    limit_train_batches: Annotated[int | None, typer.Option(min=1, help="Steps an epoch at most.")] = None,
    json: AsJson = False,
) -> None:
    """Make weights small: prune them, let them share values, and code them, training all the while."""
    from dataclasses import asdict

    from alexnet.compress import CompressOptions
    from alexnet.compress import compress as make_small

    if data is None:
        _check_not_given(context, _TRAINING)
    options = CompressOptions(
        data=data,
        mib=mib,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        precision=precision,
        device=device,
        workers=workers,
        seed=seed,
        limit_train_batches=limit_train_batches,
        licence=licence,
        reduce_to=reduce_to,
    )
    done = make_small(weights, destination, options, resume=resume, observer=Watcher())
    if json:
        print_json({"weights": weights, "out": str(destination), **asdict(done)})
    else:
        _print_stages(done, destination, data)


def _check_not_given(context: typer.Context, names: Sequence[str]) -> None:
    """Refuse options that stand on the command line.

    Raises:
        InputError: names the first.
    """
    from alexnet.errors import InputError

    sources = {name: context.get_parameter_source(name) for name in names}
    if given := [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]:
        option = f"--{given[0].replace('_', '-')}"
        raise InputError(
            f"{option} is for training, and there is nothing to train on; add --data or leave {option} out"
        )


def _print_stages(done: "Compressed", destination: Path, data: str | None) -> None:
    why_not = f"{data} holds no images out" if data else "no --data"
    measured = f"errors on {done.split}, center view" if done.split else f"errors not measured: {why_not}"
    print(f"{'':10}{'MB':>9}{'smaller':>9}{'top-1':>9}{'top-5':>9}{'agrees':>9}   {measured}")
    first = done.stages[0].bytes
    for stage in done.stages:
        shares = (stage.top1_error, stage.top5_error, stage.agreement)
        words = "".join(f"{'' if share is None else f'{share:.2%}':>9}" for share in shares)
        print(f"{stage.name:10}{stage.bytes / 1e6:9.2f}{first / stage.bytes:8.1f}x{words}")
    print(f"{destination}: {done.kept:.1%} of the weights are left")
