from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np
import pytest

from alexnet.arch.rows import Fc, Local
from alexnet.arch.spec import Spec
from alexnet.data.splits import unnamed_classes
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights
from alexnet.weights.check import tensor_shapes


def lively_tensors(spec: Spec) -> dict[str, np.ndarray]:
    """Random parameters that keep values alive from row to row, as He's initial weights do, with biases that matter."""
    rng = np.random.default_rng(0)
    tensors = {}
    for key, shape in tensor_shapes(spec).items():
        fan_in = prod(shape[2 if isinstance(spec[key.split(".")[0]], Local) else 1 :])
        scale = (2 / fan_in) ** 0.5 if key.endswith("weight") else 0.1
        tensors[key] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return tensors


@pytest.fixture(scope="session")
def weights_of() -> Callable[..., Weights]:
    """Lively random weights of a spec, whose hidden fc rows are narrow: no test needs 4096 of them."""

    def weights_of(spec: Spec, **preprocessing: object) -> Weights:
        hidden = [row for row in spec.rows if isinstance(row, Fc) and row != spec.classifier]
        spec = spec.with_rows({row.name: replace(row, out_features=24) for row in hidden})
        crop = spec.input[1]
        return Weights(
            spec=spec,
            classes=unnamed_classes(spec.num_classes),
            preprocessing=Preprocessing(**{"resize": crop + 4, "crop": crop, **preprocessing}),  # type: ignore[arg-type]
            tensors=lively_tensors(spec),
        )

    return weights_of
