"""`alexnet convert SRC DST`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from alexnet.convert import Converted

EXAMPLE = "runs/my-run my-net.onnx"

FEW_IMAGES = 32  # ours: of fewer, the largest value of a layer is a matter of chance


def convert(
    source: Annotated[str, typer.Argument(help="A run folder, a file of weights, or a name.", metavar="SRC")],
    destination: Annotated[Path, typer.Argument(help="The file to write.", metavar="DST")],
    to: Annotated[
        Literal["safetensors", "onnx", "openvino", "caffe"] | None,
        typer.Option(help="The format.", show_default="what DST ends in: .safetensors, .onnx, .xml or .caffemodel"),
    ] = None,
    uint8_input: Annotated[
        bool, typer.Option("--uint8-input", help="The graph takes uint8 RGB crops and does all preprocessing itself.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Products of 8 bits; needs --calibrate.")] = False,
    calibrate: Annotated[
        str | None, typer.Option(help="DATA or a folder of photographs, by which int8 is calibrated.", metavar="DATA")
    ] = None,
    json: AsJson = False,
) -> None:
    """Write weights as another kind of file: safetensors, ONNX, OpenVINO or Caffe."""
    from dataclasses import asdict

    from alexnet.cli.progress import progress, say
    from alexnet.convert import CALIBRATION_IMAGES
    from alexnet.convert import convert as write
    from alexnet.data.collection import open_collection
    from alexnet.data.damaged import DamagedImages
    from alexnet.errors import InputError

    if int8 != (calibrate is not None):
        raise InputError("--int8 and --calibrate DATA belong together: the ranges of int8 are measured on images")
    if calibrate is None:
        done = write(source, destination, to, uint8_input=uint8_input)
    else:
        collection = open_collection([calibrate])
        count = min(CALIBRATION_IMAGES, len(collection.images))
        if count < FEW_IMAGES:
            say(f"{calibrate}: {count} images to calibrate on; give {CALIBRATION_IMAGES} of the kind that will come")
        with progress("calibrate", count, "images") as advance:
            done = write(
                source,
                destination,
                to,
                uint8_input=uint8_input,
                calibration=collection,
                progress=advance,
                on_damaged=DamagedImages(count, say),
            )
    if json:
        print_json({"weights": source, "out": str(destination), **asdict(done)})
    else:
        _print_converted(done, destination)


def _print_converted(done: "Converted", destination: Path) -> None:
    from alexnet.weights.catalog import files_of

    print(f"mapped   {', '.join(done.mapped)}")
    print(f"dropped  {', '.join(done.dropped) or 'nothing'}")
    print(f"logits of the probe image differ by {done.largest_difference:.2g} at most, of {done.largest_logit:.2g}")
    files = " and ".join(map(str, files_of(destination)))
    print(f"{files}: {done.format}, {done.bytes / 1e6:,.1f} MB")
