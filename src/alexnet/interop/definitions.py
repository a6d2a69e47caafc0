"""Nets that stand in files of other programs, one reader for each suffix."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from alexnet.arch.spec import Spec
from alexnet.errors import InputError
from alexnet.interop.caffe import prototxt
from alexnet.interop.cuda_convnet import files as cuda_convnet
from alexnet.interop.cuda_convnet.files import WrittenNet


class Format(NamedTuple):
    """How definition files of a suffix are read. read_spec: as they were written. read_net: as they are trained, by a
    parameter file where one is given.
    """

    read_spec: Callable[[Path], Spec]
    read_net: Callable[[Path, Path | None], WrittenNet]


def _read_caffe_net(path: Path, parameters: Path | None) -> WrittenNet:
    if parameters:
        raise InputError(f"{parameters} is the parameter file of a {cuda_convnet.SUFFIX} net, and {path} is none")
    return WrittenNet(spec=prototxt.read_prototxt(path).spec, recipe=None, borrowed=())


FORMATS: Mapping[str, Format] = {
    cuda_convnet.SUFFIX: Format(lambda path: cuda_convnet.read_definition(path).spec, cuda_convnet.read_net),
    prototxt.SUFFIX: Format(lambda path: prototxt.read_prototxt(path).spec, _read_caffe_net),
}


def format_of(name: str | None) -> Format | None:
    """The format of the file that a net's name is, by its suffix; None for any other name."""
    return FORMATS.get(Path(name or "").suffix)
