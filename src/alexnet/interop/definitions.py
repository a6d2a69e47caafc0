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
    parameter file where one is given. Both take the side of the net's images last: None for what the file says, or, if
    it says nothing, what nets like it had.
    """

    read_spec: Callable[[Path, int | None], Spec]
    read_net: Callable[[Path, Path | None, int | None], WrittenNet]


def _read_convnet_spec(path: Path, input_size: int | None) -> Spec:
    return cuda_convnet.read_definition(path, input_size=input_size).spec


def _read_convnet_net(path: Path, parameters: Path | None, input_size: int | None) -> WrittenNet:
    return cuda_convnet.read_net(path, parameters, input_size=input_size)


def _read_caffe_spec(path: Path, input_size: int | None) -> Spec:
    spec = prototxt.read_prototxt(path).spec
    if input_size and spec.input[1:] != (input_size, input_size):
        height, width = spec.input[1:]
        raise InputError(
            f"{path} says that its images have {height} x {width} pixels, not {input_size}; change it there"
        )
    return spec


def _read_caffe_net(path: Path, parameters: Path | None, input_size: int | None) -> WrittenNet:
    if parameters:
        raise InputError(f"{parameters} is the parameter file of a {cuda_convnet.SUFFIX} net, and {path} is none")
    return WrittenNet(spec=_read_caffe_spec(path, input_size))


FORMATS: Mapping[str, Format] = {
    cuda_convnet.SUFFIX: Format(_read_convnet_spec, _read_convnet_net),
    prototxt.SUFFIX: Format(_read_caffe_spec, _read_caffe_net),
}


def format_of(name: str | None) -> Format | None:
    """The format of the file that a net's name is, by its suffix; None for any other name."""
    return FORMATS.get(Path(name or "").suffix)
