"""Ways to run a net, behind one small protocol: uint8 crops in, float32 arrays out."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, cast, get_args

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.layers import feature_row
from alexnet.arch.spec import Spec
from alexnet.errors import InputError, MissingExtraError, UnknownNameError
from alexnet.preprocess import View
from alexnet.weights import Weights

Precision = Literal["auto", "fp32", "bf16"]
Features = dict[str, NDArray[np.float32]]

AUTO = "auto"
CPU = "cpu"


class Engine(Protocol):
    """A net with its weights, ready to run. `images` are uint8 RGB crops (N, 3, crop, crop), not yet normalized.

    They are central crops unless `view` says which they are: of some mean images another part is subtracted from each.
    """

    @property
    def name(self) -> str:
        """What `--engine` calls it."""

    def logits(self, images: NDArray[np.uint8], view: View | None = None) -> NDArray[np.float32]:
        """(N, K)."""

    def features(self, images: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """Outputs (N, ...) of the named layers; `fc7` is after its ReLU, `fc7:pre` the raw row.

        Raises:
            UnknownNameError: no such layer.
        """


class _Home(NamedTuple):
    """Where an engine is, what it runs on, and the extra that brings that."""

    module: str
    class_name: str
    package: str
    product: str
    extra: str


# How far logits and features may be from torch's in float32, as a share of the largest of them. Ours: on photographs,
# for net 145, the paper's and torchvision's with two sets of random weights, float32 kept within 2e-6 and bfloat16
# within 1e-2.
TOLERANCES: Mapping[tuple[str, Precision], float] = {
    ("torch", "bf16"): 3e-2,
    ("onnxruntime", "fp32"): 1e-5,
    ("openvino", "fp32"): 1e-5,
    ("openvino", "bf16"): 3e-2,
}

# In the order in which `auto` takes the first that is installed: by images a second on a CPU.
ENGINES = {
    "openvino": _Home("alexnet.engines.openvino", "OpenVINOEngine", "openvino", "OpenVINO", "openvino"),
    "onnxruntime": _Home("alexnet.engines.onnxruntime", "OnnxRuntimeEngine", "onnxruntime", "ONNX Runtime", "onnx"),
    "torch": _Home("alexnet.engines.torch", "TorchEngine", "torch", "PyTorch", "train"),
}


def open_engine(name: str, weights: Weights, device: str = AUTO, precision: Precision = "auto") -> Engine:
    """The named engine running `weights` on `device`; `auto` takes torch for an accelerator, else the fastest there is.

    `precision` auto: what the engine computes in by itself, float32 unless it knows better for this processor.

    Raises:
        UnknownNameError: no such engine or precision.
        MissingExtraError: what the engine runs on is not installed.
        InputError: the engine knows no such device or precision.
    """
    name = choose_engine(device, precision) if name == AUTO else name
    if name not in ENGINES:
        raise UnknownNameError("engine", name, [AUTO, *ENGINES])
    if precision not in (precisions := get_args(Precision)):
        raise UnknownNameError("precision", precision, precisions)
    home = ENGINES[name]
    try:
        module = import_module(home.module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != home.package:
            raise
        raise MissingExtraError(home.product, home.extra) from None
    return cast(Engine, getattr(module, home.class_name)(weights, device, precision))


def choose_engine(device: str = AUTO, precision: Precision = "auto") -> str:
    """The engine that `auto` stands for here.

    Raises:
        MissingExtraError: none is installed that has the precision.
    """
    if device not in (AUTO, CPU) or (device == AUTO and is_installed("torch") and _has_accelerator()):
        return "torch"
    able = [name for name in ENGINES if precision != "bf16" or (name, precision) in TOLERANCES]
    for name in able:
        if is_installed(ENGINES[name].package):
            return name
    if precision == "bf16":
        raise MissingExtraError("OpenVINO (or PyTorch) for bf16", ENGINES["openvino"].extra)
    raise MissingExtraError("An engine (ONNX Runtime is the smallest)", ENGINES["onnxruntime"].extra)


def choose_reference() -> str:
    """The engine that others are judged by, in float32 on the CPU: torch where it is installed, else what is there."""
    return next((name for name in reversed(ENGINES) if is_installed(ENGINES[name].package)), "onnxruntime")


def only_cpu(product: str, device: str) -> None:
    """Refuse what an engine for the CPU has not.

    Raises:
        InputError: another device was asked for.
    """
    if device not in (AUTO, CPU):
        raise InputError(f"{product} runs on the CPU here, not on {device!r}; use --engine torch")


def features_by_rows(
    spec: Spec, layers: Sequence[str], outputs_of: Callable[[tuple[str, ...]], Sequence[NDArray[np.float32]]]
) -> Features:
    """What layers stand for, by their names; `outputs_of` gives the outputs of rows, each of which is asked for once.

    Raises:
        UnknownNameError: no such layer.
    """
    row_of = {layer: feature_row(spec, layer) for layer in layers}
    rows = tuple(dict.fromkeys(row_of.values()))
    found = dict(zip(rows, outputs_of(rows), strict=True))
    return {layer: found[row] for layer, row in row_of.items()}


def is_installed(package: str) -> bool:
    """Can it be imported? Told without doing so."""
    return find_spec(package) is not None


def _has_accelerator() -> bool:
    """Is there a device that the installed torch was built for? Asked of files: torch itself takes seconds to load."""
    if sys.platform == "darwin":
        return True  # Metal, which every torch for it knows
    drivers = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"))
    return "+cpu" not in metadata.version("torch") and any(driver.exists() for driver in drivers)
