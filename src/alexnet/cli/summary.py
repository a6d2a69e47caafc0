"""`alexnet summary NET`."""

from pathlib import Path
from typing import Annotated

import typer

from alexnet.arch import find
from alexnet.cli.options import InputSize
from alexnet.cli.output import AsJson, print_json
from alexnet.describe import PAPER_BATCH_SIZE, layer_table, net_json

EXAMPLE = "krizhevsky-145+no-lrn"


def summary(
    net: Annotated[str, typer.Argument(help="A net, with ablations joined by +, or a definition file.", metavar="NET")],
    input_size: InputSize = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images at a time, for the memory of the outputs.")
    ] = PAPER_BATCH_SIZE,
    json: AsJson = False,
) -> None:
    """Print a net's layers: sizes, parameters, multiply-adds, neurons, memory."""
    from alexnet.interop.definitions import format_of

    written_as = format_of(net)
    spec = written_as.read_spec(Path(net), input_size) if written_as else find(net, input_size=input_size)
    if json:
        print_json(net_json(spec))
    else:
        print(layer_table(spec, batch_size=batch_size))
