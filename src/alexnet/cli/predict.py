"""`alexnet predict IMAGE...`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexnet.cli.options import Engine, Precision, Weights
from alexnet.cli.output import AsJson, errors_json, print_json, report_errors
from alexnet.cli.stdin import STDIN, open_stdin
from alexnet.defaults import DEFAULT_WEIGHTS
from alexnet.errors import ImageError

if TYPE_CHECKING:
    from alexnet.predict import Prediction

EXAMPLE = "photo.jpg"

_BAR_LENGTH = 24


def predict(
    images: Annotated[list[str], typer.Argument(help="Files, folders, or - for one on stdin.", metavar="IMAGE")],
    weights: Weights = DEFAULT_WEIGHTS,
    top: Annotated[int, typer.Option(min=1, help="Classes to print for each image.")] = 5,
    views: Annotated[Literal["center", "ten"], typer.Option(help="One crop an image, or the paper's ten.")] = "center",
    engine: Engine = "auto",
    precision: Precision = "auto",
    json: AsJson = False,
) -> None:
    """Say what is in images."""
    from alexnet.cli.progress import progress
    from alexnet.data.collection import image_files
    from alexnet.predict import load

    paths = [path for image in images for path in ([image] if image == STDIN else image_files(image))]
    classifier = load(weights, engine, precision=precision)
    results: list[tuple[str, list[Prediction] | ImageError]] = []
    with progress("predict", len(paths), "images") as advance:
        sources = [open_stdin() if path == STDIN else path for path in paths]
        for path, result in zip(paths, classifier.predict_each(sources, top, views), strict=True):
            results.append((path, result))
            advance(1)
    errors = [(path, result) for path, result in results if isinstance(result, ImageError)]
    if len(errors) == len(results) == 1:
        raise errors[0][1]
    good = [(path, result) for path, result in results if not isinstance(result, ImageError)]
    if json:
        print_json(
            {
                "weights": weights,
                "engine": classifier.engine.name,
                "predictions": [{"path": path, "top": [vars(each) for each in found]} for path, found in good],
                "errors": errors_json(errors),
            }
        )
    else:
        _print_bars(good)
    report_errors(errors)


def _print_bars(found: "list[tuple[str, list[Prediction]]]") -> None:
    width = max((len(each.label) for _, top in found for each in top), default=0)
    for path, top in found:
        print(path)
        for each in top:
            bar = "█" * round(_BAR_LENGTH * each.probability)
            print(f"  {each.label:{width}}  {each.probability:7.2%}  {bar}".rstrip())
