"""`alexnet demo`."""

import os
import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

EXAMPLE = ""

NUM_PRINTED = 5


def demo(
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/digits-<time>.")] = None,
) -> None:
    """The first minute: a small net learns handwritten digits, the shipped one names photographs. No download."""
    from alexnet.cli.progress import Watcher
    from alexnet.data.splits import first_name
    from alexnet.experiments.first_minute import KERNELS, PREDICTIONS, first_minute
    from alexnet.experiments.photographs import NOT_THERE, PICTURE, draw_photographs, name_photographs
    from alexnet.train.epochs import CURVES

    named = name_photographs()  # before the digits: where the shipped weights are damaged nothing is trained in vain
    shown = first_minute(Watcher(), out)
    folder, evaluation = shown.result.out, shown.result.evaluation
    assert evaluation is not None  # the digits have a test split
    print(f"\ntest error {evaluation.top1_error:.1%} on {evaluation.images} digits that it never saw (center view)\n")
    for truth, ranked in shown.answers[:NUM_PRINTED]:
        guesses = ", ".join(f"{answer.label} ({answer.probability:.0%})" for answer in ranked)
        print(f"  a {truth} looks like {guesses}")
    print("\nreal photographs, by the weights that come with the package:\n")
    for photograph in named:
        guesses = ", ".join(f"{first_name(each.label)} ({each.probability:.0%})" for each in photograph.answers[:3])
        print(f"  {photograph.name:20}  {first_name(photograph.truth or NOT_THERE):20}  {guesses}")
    draw_photographs(named, folder)
    print("\npictures:")
    for picture in (CURVES, PREDICTIONS, KERNELS, PICTURE):
        print(f"  {folder / picture}")
    print("\nnext, type:")
    alexnet = _as_typed()
    print(f"  {alexnet} summary krizhevsky-145       # the 2012 net, row by row")
    print(f"  {alexnet} predict photo.jpg             # any photo of yours")
    print(f"  {alexnet} evaluate digits --weights {folder}")
    print(f"  {alexnet} train FOLDER --epochs 10     # FOLDER holds one folder of photos a class")


def _as_typed() -> str:
    """How this shell reaches the command: by name, or in the environment that `make` has made but not entered."""
    here = Path(sys.executable).parent / "alexnet"
    return "alexnet" if which("alexnet") or not here.exists() else os.path.relpath(here)
