"""What is wrong with weights whose probe does not come out again, found by undoing the usual mistakes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import Weighted
from alexnet.preprocess import FILTERS
from alexnet.weights.check import list_names
from alexnet.weights.checksum import checksum, checksum_of_json
from alexnet.weights.files import MEAN_IMAGE, Weights
from alexnet.weights.probe import (
    CLASSES,
    ERRORS,
    PREPROCESSING,
    RECIPE,
    SPEC,
    all_tensors,
    has_checksums,
    stored_checksums,
)

Array = NDArray[np.float32]

ANOTHER_NET = 0.5  # ours: where more than this share of the tensors changed beyond explanation, all of them are others
STANDARD_ERRORS = 3.0  # ours: a correlation this far above none is not by chance

_UNEXPLAINED = "changed"
_NO_MEAN = "its mean is missing"
_METADATA = {SPEC: "its net", RECIPE: "its recipe", ERRORS: "its list of measured errors"}

# What undoes a mistake. Filters and images end in colours, rows and columns; the weights of an fc row are a matrix.
OF_FILTERS: Mapping[str, Callable[[Array], Array]] = {
    "in BGR order": lambda tensor: np.flip(tensor, -3),
    "transposed": lambda tensor: tensor.swapaxes(-1, -2),
    "mirrored": lambda tensor: np.flip(tensor, -1),
    "upside down": lambda tensor: np.flip(tensor, -2),
    "turned by 180 degrees": lambda tensor: np.flip(tensor, (-1, -2)),
}
OF_MATRICES: Mapping[str, Callable[[Array], Array]] = {
    "transposed": lambda tensor: tensor.reshape(tensor.shape[::-1]).T,
}


def diagnose(weights: Weights, changed: Mapping[str, str], logits: Array, stored: Array, tolerance: float) -> str:
    """What seems wrong with weights that give the probe `logits` (K,), but were saved with `stored` (K,).

    `changed`: see `changed_parts`. `tolerance`: how far logits may differ.
    """
    found = [f"{_METADATA[part]} is changed" for part in changed if part in _METADATA]
    if PREPROCESSING in changed:
        found.append(_of_preprocessing(weights, changed[PREPROCESSING]))
    elif (mean := weights.preprocessing.mean_image) is not None and MEAN_IMAGE in changed and not mean.any():
        found.append(_NO_MEAN)
    changed = {name: known for name, known in changed.items() if name not in {PREPROCESSING, *_METADATA}}
    if _NO_MEAN in found:
        changed.pop(MEAN_IMAGE, None)
    if CLASSES in changed or _reordered(logits, stored, tolerance):
        found.append("its classes are others, or in another order")
        last = {row.name for row in weights.spec.classifier_rows}
        changed = {name: known for name, known in changed.items() if name != CLASSES and name.split(".")[0] not in last}
    faults: dict[str, str] = {}
    for key in sorted(changed, key=lambda key: weights.tensors[key].size if key in weights.tensors else 0):
        faults[key] = _fault(weights, key, changed)
        if list(faults.values()).count(_UNEXPLAINED) > ANOTHER_NET * len(weights.tensors):  # the largest need no look
            return "; ".join([*found, _kinship(logits, stored, tolerance)])
    for fault in dict.fromkeys(faults[key] for key in changed):
        keys = [key for key in changed if faults[key] == fault]
        found.append(f"{list_names(keys)} {'is' if len(keys) == 1 else 'are'} {fault}")
    if not found and has_checksums(weights):
        found.append("all its parts are those that were saved, so its probe's logits are not")
    return "; ".join(found) or _kinship(logits, stored, tolerance)


def _fault(weights: Weights, key: str, changed: Mapping[str, str]) -> str:
    """What was done to the tensor `key`, one of the `changed`."""
    tensor = all_tensors(weights).get(key)
    if tensor is None:
        return "missing"
    if _is_untrained(weights, key, changed):
        return "untrained (with initial biases)"
    if not tensor.any():
        return "nothing but zeros"
    present = checksum(tensor)
    for other, stored in stored_checksums(weights).items():
        if present == stored:
            return f"that of {other}"
    for mistake, undone in (OF_FILTERS if tensor.ndim > 2 else OF_MATRICES).items():
        if checksum(undone(tensor)) == changed[key]:
            return mistake
    return _UNEXPLAINED


def _is_untrained(weights: Weights, key: str, changed: Mapping[str, str]) -> bool:
    """Does `key` belong to a row that is all changed, its biases all to the initial value, which training moves?"""
    name = key.split(".")[0]
    bias, row = weights.tensors.get(f"{name}.bias"), {row.name: row for row in weights.spec.rows}.get(name)
    if not isinstance(row, Weighted) or bias is None or not {f"{name}.weight", f"{name}.bias"} <= changed.keys():
        return False
    return bool((bias == row.bias_init).all())


def _of_preprocessing(weights: Weights, known: str) -> str:
    """What was changed in the preprocessing that had the checksum `known`, where that is one of the usual values."""
    present = weights.preprocessing.to_json()
    height, width = weights.preprocessing.canvas
    usual = {
        "channel_order": ("RGB", "BGR"),
        "scale": (1.0, 1 / 255),
        "interpolation": tuple(FILTERS),
        "resize": (height, [height, width]),
        "mean_crop": ("view",),
        "mean": ("image",),
    }
    for key, values in usual.items():
        for value in values:
            if checksum_of_json(present | {key: value}) == known:
                return _NO_MEAN if value == "image" else f"its preprocessing is changed: {key} was {value}"
    subtracts = weights.preprocessing.mean_image is not None or any(weights.preprocessing.mean)
    return "its preprocessing is changed" + ("" if subtracts else " (nothing is subtracted)")


def _reordered(logits: Array, stored: Array, tolerance: float) -> bool:
    apart, sorted_apart = np.abs(logits - stored).max(), np.abs(np.sort(logits) - np.sort(stored)).max()
    return bool(sorted_apart <= tolerance < apart)


def _kinship(logits: Array, stored: Array, tolerance: float) -> str:
    """Whose weights these may be: the logits of two moments of a run rise and fall together, those of others do not."""
    if not np.isfinite(logits).all():
        return "the net's answers are not numbers"
    if np.abs(logits - stored).max() <= tolerance:
        return "most of its tensors are changed, by no more than rounding would"
    one, other = logits - logits.mean(), stored - stored.mean()
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    correlation = float(one @ other) / norms if norms > 0 else 0.0
    by_chance = np.tanh(STANDARD_ERRORS / np.sqrt(max(1, len(logits) - 3)))  # Fisher's z
    whose = "of another moment or run" if correlation > by_chance else "random or of another task"
    return f"these weights are {whose} (their logits correlate by {correlation:.2f} with the stored ones)"
