"""The nets for `torch.hub`, from a clone that need not be installed.

    torch.hub.load("path/to/this/folder", "alexnet", source="local")                     # net 145, to be trained
    torch.hub.load("path/to/this/folder", "alexnet", weights="runs/RUN", source="local")  # a trained one, of any net
    torch.hub.load("path/to/this/folder", "one-weird-trick", num_classes=10, source="local")
    torch.hub.load("path/to/this/folder", "load", "runs/RUN", source="local")             # a classifier

Every named net is an entry; `create` takes ablations too (`caffe+no-lrn`), `load` gives labels for pictures.
"""

import sys as _sys
from functools import partial as _partial
from pathlib import Path as _Path

_sys.path.insert(0, str(_Path(__file__).resolve().parent / "src"))

from alexnet import create, load  # noqa: F401  (an entry)
from alexnet.arch import NETS as _NETS
from alexnet.defaults import DEFAULT_NET as _DEFAULT_NET
from alexnet.engines.torch import TorchEngine as _TorchEngine
from alexnet.errors import WeightsError as _WeightsError
from alexnet.nn import Net as _Net
from alexnet.weights import find_weights as _find_weights

dependencies = ["torch", "numpy", "PIL", "safetensors"]


def alexnet(weights: str | None = None, **options: int) -> _Net:
    """Net 145 with initial weights, by the `options` of `create`; or the trained net in `weights`, ready to be used.

    weights: whatever `alexnet predict --weights` takes. What its images must be is in `load(weights).preprocessing`.

    Raises:
        WeightsError: no such weights, damaged ones, or options beside them.
    """
    if weights is None:
        return create(_DEFAULT_NET, **options)
    if options:
        raise _WeightsError(f"the net in {weights} is as it was trained; leave out {', '.join(options)}")
    return _TorchEngine(_find_weights(weights), "cpu").net


def _named(name: str, weights: str | None = None, **options: int) -> _Net:
    """The net called `name`, as `alexnet`.

    Raises:
        WeightsError: as `alexnet`, or weights of another net.
    """
    if weights is None:
        return create(name, **options)
    net = alexnet(weights, **options)
    if net.spec.name != name:
        raise _WeightsError(f"{weights} holds weights of {net.spec.name}, not of {name}")
    return net


for _name in _NETS:
    globals()[_name] = _partial(_named, _name)
    globals()[_name].__doc__ = f"{_NETS[_name].source}. As `alexnet`."
