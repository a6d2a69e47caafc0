"""The card of weights, README.md of their folder: what is stored with them in words, and nothing that is not.

Its head is YAML as the Hugging Face Hub reads it, written as JSON, which is YAML too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from alexnet.arch.shapes import measure
from alexnet.preprocess import Preprocessing
from alexnet.weights.files import Weights

CARD = "README.md"

_TASK = "image-classification"
# Licences by the Hub's names; others are "other" with a name.
_LICENCES = frozenset({"mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "unlicense"})
_NAMED = 3  # classes that the card lists
_PLAIN_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_MEASURES = {"top1_error": "top-1 accuracy", "top5_error": "top-5 accuracy"}


def write_card(weights: Weights) -> str:
    """The text of the card, Markdown."""
    head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _head(weights).items())
    return f"---\n{head}\n---\n\n" + "\n\n".join(_sections(weights)) + "\n"


def _head(weights: Weights) -> dict[str, Any]:
    """What the Hub shows and searches by."""
    head: dict[str, Any] = {
        "library_name": "alexnet",
        "pipeline_tag": _TASK,
        "tags": ["alexnet", _TASK, weights.spec.name],
        **_licence(weights.licence),
    }
    if weights.errors:
        names = dict.fromkeys(measured["data"] for measured in weights.errors)
        head["datasets"] = [name for name in names if _PLAIN_NAME.fullmatch(name)]
        head["metrics"] = ["accuracy"]
        results = [_result(measured) for measured in weights.errors]
        head["model-index"] = [{"name": weights.spec.name, "results": results}]
    return head


def _licence(licence: str | None) -> Mapping[str, str]:
    if licence is None:
        return {}
    name = licence.lower()
    return {"license": name} if name in _LICENCES else {"license": "other", "license_name": licence}


def _result(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Errors as the Hub has them: accuracies of a task on a data set."""
    metrics = [
        {"type": "accuracy", "name": f"{name} ({measured['views']})", "value": round(1 - measured[key], 6)}
        for key, name in _MEASURES.items()
        if measured[key] is not None
    ]
    data = {"name": measured["data"], "type": measured["data"], "split": measured["split"]}
    return {"task": {"type": _TASK}, "dataset": data, "metrics": metrics}


def _sections(weights: Weights) -> Iterator[str]:
    spec = weights.spec
    yield f"# {_cell(spec.name)}, {spec.num_classes:,} classes"
    rows = {
        "net": f"`{_cell(spec.name)}`: {_cell(spec.source)}",
        "parameters": f"{sum(shape.params for shape in measure(spec)):,}",
        "classes": _classes(weights),
        "images": _images(weights.preprocessing),
        "licence": _cell(weights.licence) if weights.licence else "none is stored with these weights",
    }
    yield _table(("", ""), rows.items())
    yield "## Use"
    yield '```python\nimport alexnet\n\nalexnet.load("path/to/this/folder").predict("photo.jpg")\n```'
    yield "## Errors"
    errors = [_errors(measured) for measured in weights.errors]
    columns = ("data", "split", "views", "top-1 error", "top-5 error")
    yield _table(columns, errors) if errors else "None are stored with these weights."
    if weights.recipe:
        yield "## Training"
        yield f"The recipe that is stored with these weights:\n\n```json\n{json.dumps(weights.recipe, indent=2)}\n```"


def _classes(weights: Weights) -> str:
    names = [_cell(info.name) for info in weights.classes]
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {more:,} more, all in config.json" if more > 0 else "")


def _images(preprocessing: Preprocessing) -> str:
    """What is done to a picture, in words."""
    steps = [f"central {preprocessing.crop} x {preprocessing.crop} pixels"]
    if isinstance(preprocessing.resize, int):
        steps.insert(0, f"shorter side resized to {preprocessing.resize} ({preprocessing.interpolation})")
    else:
        height, width = preprocessing.resize
        steps.insert(0, f"resized to {height} x {width}, whatever the aspect ({preprocessing.interpolation})")
    if preprocessing.reduce_to:
        steps.insert(0, f"shorter side reduced to {preprocessing.reduce_to} if it is longer")
    steps.append(f"{preprocessing.channel_order}, 0 to 255")
    if preprocessing.scale != 1:
        steps.append(f"times {preprocessing.scale:.6g}")
    mean = _numbers(preprocessing.mean)
    if preprocessing.mean_image is not None:
        mean = "what of the mean image lies under them" if preprocessing.mean_moves else "the centre of the mean image"
    steps.append(f"minus {mean}")
    if preprocessing.std != (1.0, 1.0, 1.0):
        steps.append(f"divided by {_numbers(preprocessing.std)}")
    return ", ".join(steps)


def _numbers(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:.6g}' for value in values)})"


def _errors(measured: Mapping[str, Any]) -> tuple[str, ...]:
    words = (_cell(measured[key]) for key in ("data", "split", "views"))
    shares = (measured[key] for key in _MEASURES)
    return (*words, *("" if share is None else f"{share:.2%}" for share in shares))


def _table(columns: tuple[str, ...], rows: Any) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")
