"""Weights in cuda-convnet's checkpoints: the net is told by its own layers, and two equal towers become one net.

A checkpoint knows no classes, no mean image and no errors. ILSVRC-2012's 1,000 are in the order of its devkit, as in
2012; images are RGB less the mean colour of the author's own set, which `batches.meta` has for every pixel.
"""

import mmap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alexnet.arch.spec import Spec
from alexnet.data.ilsvrc import imagenet_classes, order_classes
from alexnet.data.splits import ClassInfo, unnamed_classes
from alexnet.errors import WeightsError
from alexnet.interop.cuda_convnet.checkpoint import read_checkpoint
from alexnet.interop.cuda_convnet.files import in_one
from alexnet.interop.cuda_convnet.trained import Trained, trained_net
from alexnet.preprocess import Preprocessing
from alexnet.weights.check import check_tensors
from alexnet.weights.files import Header, Weights, named_in_errors
from alexnet.weights.towers import merge_tensors

CUDA_CONVNET = "cuda-convnet"

# cuda-convnet2's input_meta, whose images are 256 pixels wide; the central 224. Small nets take whole images.
_MEAN = (127.226, 118.587, 103.448)
_CANVAS, _CROP = 256, 224


def read_checkpoint_weights(path: Path) -> Weights:
    """The net in a checkpoint of cuda-convnet, its towers merged.

    Raises:
        WeightsError: no checkpoint, damaged, one that asks for code, or layers and arrays that do not fit together.
    """
    with named_in_errors(path):
        trained = _read(path)
        net = in_one(trained.definition.spec)
        tensors = trained.tensors
        if net.merged:
            tensors = merge_tensors(net.merged, tensors)
        tensors = {
            _renamed(key, net.names): np.require(tensor, np.float32, ["C", "A", "W"]) for key, tensor in tensors.items()
        }
        check_tensors(net.spec, tensors)
        return Weights(
            spec=net.spec,
            classes=_classes(net.spec.num_classes),
            preprocessing=_preprocessing(net.spec),
            tensors=tensors,
            left_out=trained.left_out,
        )


def read_checkpoint_header(path: Path) -> Header:
    """What a checkpoint says of its weights.

    Raises:
        WeightsError: as `read_checkpoint_weights`.
    """
    with named_in_errors(path):
        spec = in_one(_read(path).definition.spec).spec
        return Header(spec=spec, classes=_classes(spec.num_classes), errors=(), licence=None)


def _read(path: Path) -> Trained:
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # arrays may lie in it: it closes with them
    except ValueError as error:  # an empty file cannot be mapped
        raise WeightsError(f"no checkpoint ({error})") from None
    return trained_net(read_checkpoint(content), name=path.stem, source=f"cuda-convnet checkpoint {path.name}")


def _renamed(key: str, names: Mapping[str, str]) -> str:
    row, part = key.split(".")
    return f"{names[row]}.{part}"


def _classes(count: int) -> tuple[ClassInfo, ...]:
    if count != len(imagenet_classes()):
        return unnamed_classes(count)
    return tuple(order_classes(imagenet_classes(), "devkit", "ILSVRC-2012"))


def _preprocessing(spec: Spec) -> Preprocessing:
    crop = spec.input[1]
    canvas = round(crop * _CANVAS / _CROP) if crop == _CROP else crop
    return Preprocessing(resize=canvas, interpolation="bilinear", crop=crop, mean=_MEAN)
