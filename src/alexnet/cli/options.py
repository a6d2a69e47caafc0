"""Options of verbs that look at the images of a collection through a net's layers."""

from typing import Annotated

import typer

from alexnet.cores import usable_cores

Weights = Annotated[str, typer.Option(help="A run folder or a file.")]
Split = Annotated[str | None, typer.Option(help="train, val or test.", show_default="all in turn")]
Engine = Annotated[str, typer.Option(help="auto or torch.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images at a time.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that decode.", show_default="all cores")]

BATCH_SIZE, WORKERS = 128, usable_cores()
