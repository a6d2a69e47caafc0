"""What each network is: rows as data, and what follows from them. Standard library only."""

from dataclasses import replace

from alexnet.arch.ablations import ABLATIONS
from alexnet.arch.cifar import SMALL_NETS
from alexnet.arch.shapes import measure
from alexnet.arch.spec import Spec
from alexnet.arch.variants import IMAGENET_NETS
from alexnet.defaults import DEFAULT_NET
from alexnet.errors import UnknownNameError

NETS: dict[str, Spec] = {spec.name: spec for spec in (*IMAGENET_NETS, *SMALL_NETS)}

_NOBODYS = f"the net of 2012 is {DEFAULT_NET}, torchvision's is one-weird-trick, Caffe's is caffe"


def find(name: str, *, num_classes: int | None = None, input_size: int | None = None) -> Spec:
    """The named net, ablations joined with `+`, with another number of classes or image size where asked.

    Raises:
        UnknownNameError: no such net or ablation.
        SpecError: an ablation that is undefined for the net, or an image size that the rows do not allow.
    """
    base, *ablations = name.split("+")
    if base not in NETS:
        raise UnknownNameError("net", base, NETS, _NOBODYS if base.lower() == "alexnet" else "")
    spec = NETS[base]
    for ablation in ablations:
        if ablation not in ABLATIONS:
            raise UnknownNameError("ablation", ablation, ABLATIONS)
        spec = ABLATIONS[ablation](spec)
        spec = replace(spec, name=f"{spec.name}+{ablation}", published_error="")
    if num_classes is not None:
        spec = spec.with_classes(num_classes)
    if input_size is not None:
        spec = spec.with_input(input_size)
    measure(spec)
    return spec
