"""Weights as a folder like those of the Hugging Face Hub: config.json, model.safetensors, and a card, README.md.

The file of safetensors is `save_weights`'s and holds all that using them needs; it alone is read. config.json says the
same in the words of transformers and timm, as far as they have some, for programs that look at it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.arch.rows import Conv
from alexnet.arch.shapes import measure
from alexnet.atomic import write_folder
from alexnet.preprocess import Preprocessing
from alexnet.weights.card import CARD, write_card
from alexnet.weights.files import Weights, save_weights

HUGGINGFACE = "huggingface"
MODEL, CONFIG = "model.safetensors", "config.json"

_WHITE = 255  # timm's mean and std are for pixels from 0 to 1


def save_huggingface(path: str | Path, weights: Weights) -> None:
    """Write `weights` as a new folder, whole or not at all.

    Raises:
        InputError: something is at `path` already.
        WeightsError: the tensors are not those of the spec, or not finite.
        OSError: the folder around it is missing or read-only, or the disk is full.
    """
    with write_folder(path) as folder:
        save_weights(folder / MODEL, weights)
        (folder / CONFIG).write_text(json.dumps(config(weights), indent=2, ensure_ascii=False) + "\n", "utf-8")
        (folder / CARD).write_text(write_card(weights), "utf-8")


def config(weights: Weights) -> dict[str, Any]:
    """What config.json says. `label2id` has the first of classes that share a name."""
    names = [info.name for info in weights.classes]
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        first.setdefault(name, index)
    return {
        "architecture": weights.spec.name,
        "model_type": "alexnet",
        "num_classes": len(names),
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": first,
        "pretrained_cfg": _pretrained_cfg(weights),
        "preprocessing": weights.preprocessing.to_json(),
    }


def _pretrained_cfg(weights: Weights) -> dict[str, Any]:
    """timm's words for a net and its images, those that are true of it and no others."""
    spec = weights.spec
    convs = [shape.row.name for shape in measure(spec) if isinstance(shape.row, Conv)]
    return {
        "input_size": list(spec.input),
        "fixed_input_size": True,
        **_canvas(weights.preprocessing),
        **_pixels(weights.preprocessing),
        "num_classes": spec.num_classes,
        **({"first_conv": convs[0]} if convs else {}),
        "classifier": spec.classifier.name,
        **({"license": weights.licence.lower()} if weights.licence else {}),
    }


def _canvas(preprocessing: Preprocessing) -> Mapping[str, Any]:
    """How a picture is cut. timm knows no canvas that is not square, and none for pictures that are reduced before."""
    height, width = preprocessing.canvas
    if height != width or preprocessing.reduce_to:
        return {}
    return {
        "interpolation": preprocessing.interpolation,
        "crop_pct": preprocessing.crop / height,
        "crop_mode": "center" if isinstance(preprocessing.resize, int) else "squash",
    }


def _pixels(preprocessing: Preprocessing) -> Mapping[str, Any]:
    """Mean and std of pixels from 0 to 1. timm knows no mean image, and no order of channels but RGB."""
    if preprocessing.mean_image is not None or preprocessing.channel_order != "RGB":
        return {}
    unit = _WHITE * preprocessing.scale
    return {
        name: [round(value / unit, 9) for value in values]
        for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std))
    }
