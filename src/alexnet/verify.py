"""Whether weights still are what was saved: their probe's logits come out again, and so do their checksums."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.engines import CPU, choose_reference, open_engine
from alexnet.errors import WeightsError
from alexnet.weights import Weights, find_weights, probe_view
from alexnet.weights.diagnosis import diagnose
from alexnet.weights.probe import changed_parts, has_checksums

# Of the largest stored logit. Ours: rounding moves logits of net 145 by up to 4e-7 of it (1 and 2 threads, batches of 1
# to 32, either memory format, with and without oneDNN, against float64), and every mistake of preprocessing that we
# made by 3e-2 and more (bench/verify_corruptions.py). What moves them less is a weight or two: the checksums' part.
TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Verified:
    """How well the probe came out: the largest difference of a logit, and the largest that is allowed.

    `checksummed`: were there checksums too, of everything? Without, a small change or another class name may hide.
    """

    largest_difference: float
    tolerance: float
    checksummed: bool


def verify(where: str | Path) -> Verified:
    """Check that a run folder or a file holds the weights that were saved in it.

    Raises:
        WeightsError: it does not, and one line says what seems to be wrong; or it was saved without a probe.
    """
    weights = find_weights(where)
    stored = _stored_logits(weights, where)
    logits = probe_logits(weights)
    difference, tolerance = float(np.abs(logits - stored).max()), TOLERANCE * float(np.abs(stored).max())
    try:
        changed = changed_parts(weights)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from None
    if changed or not difference <= tolerance:  # not: a difference may be NaN
        raise WeightsError(
            f"{where}: not as saved: {diagnose(weights, changed, logits, stored, tolerance)}; "
            f"the probe's logits differ by {difference:.2g}, where {tolerance:.2g} is allowed"
        )
    return Verified(largest_difference=difference, tolerance=tolerance, checksummed=has_checksums(weights))


def probe_logits(weights: Weights) -> NDArray[np.float32]:
    """The logits (K,) of the probe image, for storing and for verifying: by one thread of the CPU, in float32."""
    engine = open_engine(choose_reference(), weights, CPU, "fp32")
    alone: Callable[[], AbstractContextManager[object]] = nullcontext
    if engine.name == "torch":
        from alexnet.engines.torch import one_thread as alone  # only now is torch known to be there

    with alone():
        logits: NDArray[np.float32] = engine.logits(probe_view(weights.preprocessing))[0]
    return logits


def _stored_logits(weights: Weights, where: str | Path) -> NDArray[np.float32]:
    logits = (weights.probe or {}).get("logits")
    if logits is None:
        raise WeightsError(
            f"{where}: saved without a probe, as int8 and other programs' files are; verify what it was made from"
        )
    stored = np.asarray(logits, np.float32)
    if stored.shape != (weights.spec.num_classes,):
        raise WeightsError(f"{where}: its probe has {stored.size} logits for {weights.spec.num_classes} classes")
    return stored
