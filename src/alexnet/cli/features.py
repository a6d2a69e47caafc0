"""`alexnet features DATA_OR_IMAGES --layer fc7 --out F.npz`."""

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import BATCH_SIZE, WORKERS, BatchSize, Engine, Precision, Split, Weights, Workers
from alexnet.cli.output import AsJson, errors_json, print_json, report_errors
from alexnet.cli.stdin import stdin_contents
from alexnet.defaults import DEFAULT_WEIGHTS

EXAMPLE = "my-photos --out features.npz"


def features(
    images: Annotated[
        list[str],
        typer.Argument(help="DATA, or image files, folders, or - for one on stdin.", metavar="DATA_OR_IMAGES"),
    ],
    out: Annotated[Path, typer.Option(help="The .npz file to write.")],
    weights: Weights = DEFAULT_WEIGHTS,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A row: fc7 is after its ReLU, fc7:pre before it. May be repeated.", show_default="fc7"),
    ] = None,
    split: Split = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    json: AsJson = False,
) -> None:
    """Write what layers say about images, as arrays that NumPy reads."""
    from alexnet.cli.progress import progress
    from alexnet.data.collection import open_collection
    from alexnet.features import extract_features
    from alexnet.memory import keep_memory
    from alexnet.predict import load

    keep_memory()
    collection = open_collection(images, split, stdin_contents(images))
    classifier = load(weights, engine, precision=precision)
    with progress("features", len(collection.images), "images") as advance:
        done = extract_features(
            classifier,
            collection,
            layer or ["fc7"],
            out,
            batch_size=batch_size,
            workers=workers,
            progress=advance,
        )
    if json:
        print_json(
            {
                "weights": weights,
                "out": str(out),
                "layers": {name: list(shape) for name, shape in done.layers.items()},
                "images": done.images,
                "errors": errors_json(done.errors),
                "images_per_second": done.images_per_second,
            }
        )
    else:
        for name, shape in done.layers.items():
            print(f"{name:12}  {' x '.join(map(str, shape))}")
        print(f"{out}: {done.images:,} images, {done.images_per_second:,.0f} images/s")
    report_errors(done.errors)
