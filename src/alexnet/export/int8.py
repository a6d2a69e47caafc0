"""A net in whole numbers: products of 8 bits, calibrated on real images, in a graph that every ONNX runtime knows.

Weights are int8 with a scale for each output (symmetric), biases int32, and what rows hand on is uint8 with a scale and
a zero point: unsigned, because what follows a ReLU has no sign, and because processors multiply unsigned by signed.
Norms stay in floats. Source: Jacob et al. 2018, arXiv 1712.05877; ONNX's QuantizeLinear and DequantizeLinear.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import DataError
from alexnet.export.onnx import IMAGES, onnx_graph, with_preprocessing
from alexnet.export.qdq import insert_quantization, values_to_quantize
from alexnet.export.ranges import Observed
from alexnet.interop.onnx import Graph
from alexnet.preprocess import normalize
from alexnet.weights import Weights

Features = Callable[[NDArray[np.uint8], Sequence[str]], Mapping[str, NDArray[np.float32]]]


def quantize(
    weights: Weights,
    batches: Iterable[NDArray[np.uint8]],
    features: Features,
    *,
    uint8_input: bool = False,
    own_lrn: bool = True,
) -> Graph:
    """`weights` as an int8 graph, which otherwise is as `onnx_graph` gives it.

    batches: uint8 RGB crops (N, 3, crop, crop), some hundred images like those that will come. features: an engine's,
    of the same weights in float32. own_lrn: True for OpenVINO; ONNX Runtime is twice as fast without.

    Raises:
        DataError: no images, or weights that overflow on them.
    """
    graph = onnx_graph(weights, own_lrn=own_lrn)
    plan = values_to_quantize(graph)
    scales = {name: seen.scale(plan[name]) for name, seen in _observe(weights, plan, batches, features).items()}
    graph = insert_quantization(graph, scales)
    return with_preprocessing(graph, weights.preprocessing) if uint8_input else graph


def _observe(
    weights: Weights, names: Iterable[str], batches: Iterable[NDArray[np.uint8]], features: Features
) -> dict[str, Observed]:
    """What each of the named values is on the images."""
    seen = {name: Observed() for name in names}
    rows = {name: f"{name}:pre" for name in seen if name != IMAGES}
    for crops in batches:
        found = features(crops, list(rows.values()))
        for name, observed in seen.items():
            observed.add(normalize(crops, weights.preprocessing) if name == IMAGES else found[rows[name]])
    if empty := [name for name, observed in seen.items() if not observed.is_finite]:
        raise DataError(f"no images to calibrate on, or values of {empty[0]} that are not numbers")
    return seen
