"""`alexnet predict IMAGE...`, or DATA in parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from alexnet.cli.stdin import STDIN, open_stdin, stdin_contents
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import ImageError, InputError

if TYPE_CHECKING:
    from alexnet.data.splits import Split as DataSplit
    from alexnet.predict import Classifier, Prediction
    from alexnet.preprocess import Views

    Found = tuple[list[tuple[str, list[Prediction]]], list[tuple[str, ImageError]]]

EXAMPLE = "photo.jpg"

_BAR_LENGTH = 24


def predict(
    images: Annotated[
        list[str], typer.Argument(help="Files, folders, - for one on stdin, or one DATA.", metavar="IMAGE")
    ],
    weights: Weights = DEFAULT_WEIGHTS,
    top: Annotated[int, typer.Option(min=1, help="Classes to print for each image.")] = 5,
    views: Annotated[Literal["center", "ten"], typer.Option(help="One crop an image, or the paper's ten.")] = "center",
    out: Annotated[Path | None, typer.Option(help="A folder for parts, instead of printing.")] = None,
    split: Split = None,
    images_per_part: ImagesPerPart = None,
    file_format: FileFormat = None,
    engine: Engine = "auto",
    precision: Precision = "auto",
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    json: AsJson = False,
) -> None:
    """Say what is in images."""
    from alexnet.data.collection import is_packed_data, open_collection
    from alexnet.parts.job import this_process
    from alexnet.predict import load

    process = this_process()
    if out is None:
        check_folder_options(process, images_per_part=images_per_part, format=file_format)
    elif not names_folder(out):
        raise InputError(f"{out} is a file by its name; predictions are written in parts: name a folder with --out")
    is_data = out or split or (images != [STDIN] and len(images) == 1 and is_packed_data(images[0]))
    collection = open_collection(images, split, stdin_contents(images)) if is_data else None
    classifier = load(weights, engine, precision=precision)
    if out is None:
        found = (
            _find_all(classifier, collection.images, top, views, batch_size, workers)
            if collection
            else _find_loose(classifier, images, top, views)
        )
        _print_found(*found, weights, classifier.engine.name, json)
        return
    outcome = write_tables(
        "predict",
        lambda tables: tables.predictions(top, views, process),
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
    end_tables(process, outcome, json=json, weights=weights, engine=classifier.engine.name, out=str(out))


def _find_loose(classifier: "Classifier", images: Sequence[str], top: int, views: "Views") -> "Found":
    """Of image files, in folders or not, and of what comes through a pipe."""
    from alexnet.cli.progress import progress
    from alexnet.data.collection import image_files

    found, errors = [], []
    paths = [path for image in images for path in ([image] if image == STDIN else image_files(image))]
    with progress("predict", len(paths), "images") as advance:
        sources = [open_stdin() if path == STDIN else path for path in paths]
        for path, result in zip(paths, classifier.predict_each(sources, top, views), strict=True):
            if isinstance(result, ImageError):
                errors.append((path, result))
            else:
                found.append((path, result))
            advance(1)
    return found, errors


def _find_all(
    classifier: "Classifier", images: "DataSplit", top: int, views: "Views", batch_size: int, workers: int
) -> "Found":
    """Of the images of a data set."""
    from alexnet.cli.progress import progress
    from alexnet.data.loader import canvas_blocks

    found, errors = [], []
    with progress("predict", len(images), "images") as advance:
        for indices, canvases in canvas_blocks(
            images,
            classifier.preprocessing,
            batch_size=batch_size,
            workers=workers,
            left_out=lambda path, error: errors.append((path, error)),
        ):
            ranked = classifier.ranked(classifier.probabilities(canvases, views), top)
            found += [(images.paths[index], each) for index, each in zip(indices.tolist(), ranked, strict=True)]
            advance(len(indices))
    return found, errors


def _print_found(
    found: "list[tuple[str, list[Prediction]]]",
    errors: list[tuple[str, ImageError]],
    weights: str,
    engine: str,
    json: bool,
) -> None:
    if len(errors) == 1 and not found:
        raise errors[0][1]
    if json:
        print_json(
            {
                "weights": weights,
                "engine": engine,
                "predictions": [{"path": path, "top": [vars(each) for each in top]} for path, top in found],
                "errors": errors_json(errors),
            }
        )
    else:
        _print_bars(found)
    report_errors(errors)


def _print_bars(found: "list[tuple[str, list[Prediction]]]") -> None:
    width = max((len(each.label) for _, top in found for each in top), default=0)
    for path, top in found:
        print(path)
        for each in top:
            bar = "█" * round(_BAR_LENGTH * each.probability)
            print(f"  {each.label:{width}}  {each.probability:7.2%}  {bar}".rstrip())
