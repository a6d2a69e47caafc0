"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alexnet.cores import usable_cores

Weights = Annotated[str, typer.Option(help="A run folder, a file, or a name of `alexnet weights`.")]
Split = Annotated[str | None, typer.Option(help="train, val or test.", show_default="all in turn")]
Engine = Annotated[str, typer.Option(help="auto, torch, onnxruntime or openvino; auto: the fastest installed.")]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"], typer.Option(help="What the net computes in; auto leaves it to the engine.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images at a time.")]
GroundTruth = Annotated[
    Path | None, typer.Option(help="Labels of ILSVRC's flat validation images.", show_default="found beside them")
]
ClassOrder = Annotated[
    Literal["sorted", "devkit"], typer.Option(help="Classes by WordNet id, or as in the 2012 development kit.")
]
InputSize = Annotated[
    int | None, typer.Option(min=1, help="Side of the net's images in pixels.", show_default="the net's own")
]
Workers = Annotated[int, typer.Option(min=1, help="Threads that decode.", show_default="all cores")]

BATCH_SIZE, WORKERS = 128, usable_cores()
