"""What is wrong with weights whose probe does not come out again, found by undoing the usual mistakes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.spec import Weighted
from alexnet.weights.check import list_names
from alexnet.weights.files import MEAN_IMAGE, Weights
from alexnet.weights.probe import CLASSES, all_tensors, checksum, stored_checksums

Array = NDArray[np.float32]

ANOTHER_NET = 0.5  # ours: where more than this share of the tensors changed beyond explanation, all of them are others
STANDARD_ERRORS = 3.0  # ours: a correlation this far above none is not by chance

_UNEXPLAINED = "changed"

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
    found = []
    if _lacks_mean(weights):
        found.append("its mean is missing")
        changed = {name: known for name, known in changed.items() if name != MEAN_IMAGE}
    if CLASSES in changed or _reordered(logits, stored, tolerance):
        found.append("its classes are others, or in another order")
        last = weights.spec.classifier.name
        changed = {name: known for name, known in changed.items() if name != CLASSES and name.split(".")[0] != last}
    faults: dict[str, str] = {}
    for key in sorted(changed, key=lambda key: weights.tensors[key].size if key in weights.tensors else 0):
        faults[key] = _fault(weights, key, changed)
        if list(faults.values()).count(_UNEXPLAINED) > ANOTHER_NET * len(weights.tensors):  # the largest need no look
            return "; ".join([*found, _kinship(logits, stored)])
    for fault in dict.fromkeys(faults[key] for key in changed):
        keys = [key for key in changed if faults[key] == fault]
        found.append(f"{list_names(keys)} {'is' if len(keys) == 1 else 'are'} {fault}")
    if not found and stored_checksums(weights):
        found.append("its tensors are those that were saved, its net or preprocessing is not")
    return "; ".join(found) or _kinship(logits, stored)


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


def _lacks_mean(weights: Weights) -> bool:
    """Is nothing subtracted, though the recipe says that something is?"""
    preprocessing = weights.preprocessing
    if preprocessing.mean_image is not None:
        return not preprocessing.mean_image.any()
    return not any(preprocessing.mean) and (weights.recipe or {}).get("mean") in ("image", "color")


def _reordered(logits: Array, stored: Array, tolerance: float) -> bool:
    apart, sorted_apart = np.abs(logits - stored).max(), np.abs(np.sort(logits) - np.sort(stored)).max()
    return bool(sorted_apart <= tolerance < apart)


def _kinship(logits: Array, stored: Array) -> str:
    """Whose weights these may be: the logits of two moments of a run rise and fall together, those of others do not."""
    if not np.isfinite(logits).all():
        return "the net's answers are not numbers"
    one, other = logits - logits.mean(), stored - stored.mean()
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    correlation = float(one @ other) / norms if norms > 0 else 0.0
    by_chance = np.tanh(STANDARD_ERRORS / np.sqrt(max(1, len(logits) - 3)))  # Fisher's z
    whose = "of another moment or run" if correlation > by_chance else "random or of another task"
    return f"these weights are {whose} (their logits correlate by {correlation:.2f} with the stored ones)"
