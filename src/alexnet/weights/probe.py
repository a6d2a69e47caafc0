"""What tells a good copy of weights from a spoiled one: logits of a picture that every machine can draw, and checksums.

Logits tell whether the net still computes the same, whatever was done to it; a checksum of each part tells the rest
(a changed weight of a unit that the picture leaves silent, a filter that resizes otherwise) and which part it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.serial import spec_to_json
from alexnet.errors import WeightsError
from alexnet.preprocess import Preprocessing, extract_views
from alexnet.weights.check import list_names
from alexnet.weights.checksum import checksum, checksum_of_json
from alexnet.weights.files import MEAN_IMAGE, Weights

SPEC, CLASSES, PREPROCESSING, RECIPE, ERRORS = "spec", "classes", "preprocessing", "recipe", "errors"


def probe_image(canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 RGB (3, height, width), the same everywhere: integer arithmetic alone, no generator, no rounding.

    Made to change the logits of whatever is done wrong: a ramp to the right in red, a curved one downwards in green
    and slanted blocks in blue (swapped channels, transposition, mirroring), far from grey (a missing mean), under a
    fine texture (a wrong filter or scale).
    """
    height, width = canvas
    y, x = np.ogrid[:height, :width]
    shapes = np.stack(
        [
            np.broadcast_to(255 * x // width, canvas),
            np.broadcast_to(255 * y * y // (height * height), canvas),
            (x // 8 * 5 + y // 8 * 3) % 7 * 42,
        ]
    )
    texture = (x * x + 3 * x * y + 7 * y) % 61
    image: NDArray[np.int64] = (3 * shapes + 4 * texture) // 4  # at most 252
    return image.astype(np.uint8)


def probe_view(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The central crop of the probe image as a batch of one, uint8 (1, 3, crop, crop), ready for an engine."""
    image = probe_image(preprocessing.canvas)
    return extract_views(image, preprocessing.crop, "center")


def make_probe(weights: Weights, logits: NDArray[np.float32]) -> dict[str, Any]:
    """What is stored with `weights`: {"logits": [...], "crc32": {name: eight hex digits}}.

    `logits` (K,) are those of `probe_view`; the checksums are those of `checksums`.
    """
    return {"logits": logits.tolist(), "crc32": checksums(weights)}


def with_errors(weights: Weights, errors: Sequence[Mapping[str, Any]]) -> Weights:
    """`weights` with the errors that were measured, which come after the probe, and with their checksum."""
    probe = weights.probe
    if probe and "crc32" in probe:
        probe = {**probe, "crc32": {**probe["crc32"], ERRORS: checksum_of_json(list(errors))}}
    return replace(weights, errors=tuple(errors), probe=probe)


def checksums(weights: Weights) -> dict[str, str]:
    """The checksum of every tensor by its key, and of every part of the metadata but the probe by its own."""
    metadata = {
        SPEC: spec_to_json(weights.spec),
        CLASSES: [asdict(info) for info in weights.classes],
        PREPROCESSING: weights.preprocessing.to_json(),
        RECIPE: weights.recipe,
        ERRORS: list(weights.errors),
    }
    tensors = {key: checksum(tensor) for key, tensor in all_tensors(weights).items()}
    return tensors | {part: checksum_of_json(value) for part, value in metadata.items()}


def changed_parts(weights: Weights) -> dict[str, str]:
    """What has not the checksum that is stored with it, or is gone: its name, and that checksum.

    Raises:
        WeightsError: some parts have checksums and others have none, so that those could be anything.
    """
    if not has_checksums(weights):
        return {}
    present, stored = checksums(weights), stored_checksums(weights)
    if without := present.keys() - stored.keys():
        raise WeightsError(f"its probe has no checksum of {list_names(sorted(without))}; copy the weights again")
    return {name: known for name, known in stored.items() if present.get(name) != known}


def has_checksums(weights: Weights) -> bool:
    """Were the weights saved with checksums? An empty list of them is a damaged one."""
    return "crc32" in (weights.probe or {})


def stored_checksums(weights: Weights) -> dict[str, str]:
    """Those of the time when the weights were saved; none if they were saved without."""
    return dict((weights.probe or {}).get("crc32", {}))


def all_tensors(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """The parameters, and the mean image where there is one, by their keys in the file."""
    mean_image = weights.preprocessing.mean_image
    return {**weights.tensors, **({} if mean_image is None else {MEAN_IMAGE: mean_image})}
