"""`alexnet similar IMAGE --among DATA`."""

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import BATCH_SIZE, WORKERS, BatchSize, Engine, Precision, Split, Weights, Workers
from alexnet.cli.output import AsJson, errors_json, print_json, report_errors
from alexnet.cli.stdin import stdin_contents
from alexnet.defaults import DEFAULT_WEIGHTS

EXAMPLE = "photo.jpg --among my-photos"


def similar(
    image: Annotated[str, typer.Argument(help="An image file, or - for one on stdin.", metavar="IMAGE")],
    among: Annotated[str, typer.Option(help="DATA, a folder of images, or what `features` wrote.")],
    weights: Weights = DEFAULT_WEIGHTS,
    layer: Annotated[str, typer.Option(help="The row whose outputs are compared.")] = "fc7",
    top: Annotated[int, typer.Option(min=1, help="Images to show.")] = 6,
    out: Annotated[Path | None, typer.Option(help="A picture to draw, as figure 4 (right) of the paper.")] = None,
    split: Split = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    json: AsJson = False,
) -> None:
    """Find the images that the net sees as most like one; one that is itself among them comes first."""
    from alexnet.cli.progress import progress
    from alexnet.errors import ImageError
    from alexnet.memory import keep_memory
    from alexnet.predict import load
    from alexnet.preprocess import open_image
    from alexnet.similar import find_similar, open_among

    keep_memory()
    if out:  # what is missing is said before the work
        from alexnet.pictures import new_figure

        new_figure(1, 1)
    where = open_among(among, split)
    query = open_image(stdin_contents([image]).get(image, image), image)
    classifier = load(weights, engine, precision=precision)
    errors: list[tuple[str, ImageError]] = []
    with progress("similar", len(where.collection.images), "images") as advance:
        found = find_similar(
            classifier,
            query,
            where,
            layer=layer,
            top=top,
            batch_size=batch_size,
            workers=workers,
            progress=advance,
            left_out=lambda path, error: errors.append((path, error)),
        )
    if json:
        shown = [{"path": near.path, "label": near.label, "distance": near.distance} for near in found]
        print_json(
            {"weights": weights, "image": image, "layer": layer, "similar": shown, "errors": errors_json(errors)}
        )
    else:
        print(f"{'distance':>10}  image  class")
        for near in found:
            print(f"{near.distance:10.3f}  {near.path}" + (f"  {near.label}" if near.label else ""))
    if out:
        from alexnet.pictures import draw_similar

        draw_similar(query, [(where.picture(near), near) for near in found], out)
    report_errors(errors)
