"""A Spec becomes torch."""

from alexnet.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtraError("PyTorch", "train") from None

from alexnet.nn.build import assemble, build, create
from alexnet.nn.inputs import InputLayer, add_color_noise_
from alexnet.nn.lrn import LocalResponseNorm
from alexnet.nn.net import Net

__all__ = ["InputLayer", "LocalResponseNorm", "Net", "add_color_noise_", "assemble", "build", "create"]
