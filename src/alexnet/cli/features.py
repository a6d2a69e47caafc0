"""`alexnet features DATA_OR_IMAGES --layer fc7 --out F.npz`, or a folder of parts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import BATCH_SIZE, WORKERS, BatchSize, Engine, Precision, Split, Weights, Workers
from alexnet.cli.output import AsJson, errors_json, print_json, report_errors
from alexnet.cli.parts import (
    FileFormat,
    ImagesPerPart,
    check_folder_options,
    end_tables,
    names_folder,
    write_tables,
)
from alexnet.cli.stdin import stdin_contents
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import InputError

EXAMPLE = "my-photos --out features.npz"


def features(
    images: Annotated[
        list[str],
        typer.Argument(help="DATA, or image files, folders, or - for one on stdin.", metavar="DATA_OR_IMAGES"),
    ],
    out: Annotated[Path, typer.Option(help="The .npz file to write, or a folder for parts.")],
    weights: Weights = DEFAULT_WEIGHTS,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A row: fc7 is after its ReLU, fc7:pre before it. May be repeated.", show_default="fc7"),
    ] = None,
    split: Split = None,
    images_per_part: ImagesPerPart = None,
    file_format: FileFormat = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    json: AsJson = False,
) -> None:
    """Write what layers say about images, as arrays that NumPy reads, or as Parquet."""
    from alexnet.cli.progress import progress
    from alexnet.data.collection import open_collection
    from alexnet.features import extract_features, probe_features
    from alexnet.memory import keep_memory
    from alexnet.parts.job import this_process
    from alexnet.predict import load

    process = this_process()
    in_parts = names_folder(out)
    if out.suffix == ".parquet" and not in_parts:
        raise InputError(
            f"features are written as .npz, or as Parquet in parts: give --out {out.with_suffix('.npz')}, or "
            f"--out {out.with_suffix('')} --format parquet"
        )
    if not in_parts:
        check_folder_options(process, images_per_part=images_per_part, format=file_format)
    keep_memory()
    collection = open_collection(images, split, stdin_contents(images))
    classifier = load(weights, engine, precision=precision)
    if in_parts:
        probe = probe_features(classifier, layer or ["fc7"])
        outcome = write_tables(
            "features",
            lambda tables: tables.features(probe, process),
            process,
            images,
            out,
            classifier=classifier,
            collection=collection,
            file_format=file_format,
            images_per_part=images_per_part,
            precision=precision,
            batch_size=batch_size,
            workers=workers,
        )
        layers = {name: (outcome.images, *rows.shape[1:]) for name, rows in probe.items()}
        if process.is_first and not json:
            _print_layers(layers)
        shapes = {name: list(shape) for name, shape in layers.items()}
        end_tables(process, outcome, json=json, weights=weights, out=str(out), layers=shapes)
        return
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
        _print_layers(done.layers)
        print(f"{out}: {done.images:,} images, {done.images_per_second:,.0f} images/s")
    report_errors(done.errors)


def _print_layers(layers: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in layers.items():
        print(f"{name:12}  {' x '.join(map(str, shape))}")
