"""AlexNet as it was in 2012, at the speed of today's hardware. The public names, loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

from alexnet.errors import AlexNetError

if TYPE_CHECKING:
    from alexnet.arch.spec import Spec
    from alexnet.describe import summary
    from alexnet.nn import create
    from alexnet.predict import Classifier, load

__version__ = "0.1.0"

__all__ = ["AlexNetError", "Classifier", "Spec", "__version__", "create", "load", "summary"]

_HOMES = {
    "Classifier": "alexnet.predict",
    "Spec": "alexnet.arch.spec",
    "create": "alexnet.nn",
    "load": "alexnet.predict",
    "summary": "alexnet.describe",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
