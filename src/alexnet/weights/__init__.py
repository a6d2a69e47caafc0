"""Published weights: files read strictly, and where to find them. No torch."""

from alexnet.weights.catalog import find_weights
from alexnet.weights.check import check_tensors
from alexnet.weights.files import Weights, read_weights, save_weights
from alexnet.weights.probe import make_probe, probe_image, probe_view

__all__ = [
    "Weights",
    "check_tensors",
    "find_weights",
    "make_probe",
    "probe_image",
    "probe_view",
    "read_weights",
    "save_weights",
]
