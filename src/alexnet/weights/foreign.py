"""Weights in the files of other programs: torchvision's, Caffe's, Deep Compression's.

Such files hold tensors and next to nothing about them. The net is known by their keys and shapes; Caffe's two, which
have the same, by the order of their layers or by their name. Preprocessing and classes are those of the published
weights of that net. Nothing was measured with them and there is no probe.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch import find
from alexnet.arch.rows import Lrn, MaxPool
from alexnet.arch.spec import Spec
from alexnet.data.ilsvrc import class_info, imagenet_classes
from alexnet.data.splits import ClassInfo, unnamed_classes
from alexnet.errors import WeightsError
from alexnet.interop import torchvision
from alexnet.interop.caffe.images import IMAGENET_MEAN
from alexnet.interop.caffe.model import LRN, POOLING, CaffeModel, read_caffemodel
from alexnet.interop.deep_compression import is_compressed, read_compressed
from alexnet.interop.pth import check_sums, read_state_dict
from alexnet.preprocess import Preprocessing
from alexnet.weights.check import Shapes, check_shapes, check_tensors, list_names, tensor_shapes
from alexnet.weights.files import Header, Weights, named_in_errors
from alexnet.weights.stored import MappedFile, MappedTensors, StoredTensors

PTH, CAFFEMODEL, COMPRESSED = "pth", "caffemodel", "deep-compression"
COMPRESSED_START = 32  # bytes of such a file that tell what it is, with its length

TORCHVISION, CAFFE, CAFFENET = "one-weird-trick", "caffe", "caffenet"  # the nets, as we call them

_CAFFE_TYPES: Mapping[type, str] = {Lrn: LRN, MaxPool: POOLING}
_CAFFE_NAMES: Mapping[str, str] = {"caffenet": CAFFENET, "alexnet": CAFFE}  # what the name of a net has in it
_UNTOLD = (
    "AlexNet or CaffeNet of Caffe, which differ in the order of norm and pool: neither its layers nor its name tell "
    "which; save it with Caffe from a prototxt that has all layers"
)

# Caffe trains with a mean image of 256 x 256 pixels, 94 to 131. Its channel means are what BVLC offers in its place;
# the image itself is in an archive of which no checksum was published. Pictures are warped, whatever their aspect.
_CAFFE_PREPROCESSING = Preprocessing(
    resize=(256, 256),
    interpolation="bilinear",
    crop=227,
    channel_order="BGR",
    mean=IMAGENET_MEAN,
)
_PREPROCESSING: Mapping[str, Preprocessing] = {
    TORCHVISION: Preprocessing(
        resize=256,
        interpolation="bilinear",
        crop=224,
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    CAFFE: _CAFFE_PREPROCESSING,
    CAFFENET: _CAFFE_PREPROCESSING,
}


@dataclass(frozen=True, eq=False)
class _Found:
    """What is in a file: the net that it seems to be, its shapes, and its tensors once they are wanted.

    doubt: why it may be another net of the same shapes, for people; empty where there is none.
    """

    net: str
    shapes: Shapes
    tensors: Callable[[], Mapping[str, NDArray[Any]]]
    doubt: str = ""


def read_foreign(path: Path, kind: str, net: str | None = None) -> Weights:
    """The weights in a file of one of the `KINDS`. `net`: which it is, where that is known beforehand.

    Tensors of float32 that lie in the file as processors like them stay there until they are wanted.

    Raises:
        WeightsError: not a whole file of that kind, one with other bytes than its sums say, tensors that are not
            those of the net, or of a net that nothing tells.
    """
    with named_in_errors(path):
        file = MappedFile(path)
        found = _OPENERS[kind](file)
        spec = _spec(found, net)
        return Weights(
            spec=spec,
            classes=published_classes(spec.num_classes),
            preprocessing=_PREPROCESSING[spec.name],
            tensors=checked(file, spec, found.tensors()),
        )


def read_foreign_header(path: Path, kind: str, net: str | None = None) -> Header:
    """What a file of one of the `KINDS` says of its weights, told from their shapes alone.

    Raises:
        WeightsError: as `read_foreign`, but for numbers, which it does not look at.
    """
    with named_in_errors(path):
        spec = _spec(_OPENERS[kind](MappedFile(path)), net)
        return Header(spec=spec, classes=published_classes(spec.num_classes), errors=(), licence=None)


def is_deep_compression(start: bytes, num_bytes: int) -> bool:
    """Is a file of `num_bytes` that begins with `start` one of Deep Compression's AlexNet? They have no signature."""
    return is_compressed(start, num_bytes, _compressed_shapes())


def _open_pth(file: MappedFile) -> _Found:
    with file.path.open("rb") as opened:
        tensors = torchvision.rename(read_state_dict(opened, file.content))

    def checked() -> Mapping[str, NDArray[Any]]:
        with file.path.open("rb") as opened:
            check_sums(opened, file.content)
        return tensors

    return _Found(TORCHVISION, _shapes(tensors), checked)


def _open_caffemodel(file: MappedFile) -> _Found:
    model = read_caffemodel(file.content)
    net, doubt = _caffe_net(model)
    return _Found(net, _shapes(model.tensors), lambda: model.tensors, doubt)


def _caffe_net(model: CaffeModel) -> tuple[str, str]:
    """(`caffe` or `caffenet`, why it may be neither). Layers are believed before names, which people choose."""
    if model.order:
        net = next((net for net in (CAFFE, CAFFENET) if model.order == _order(net)), None)
        doubt = f"its norms and pools ({list_names(model.order)}) are not in the order of {CAFFE}, nor of {CAFFENET}"
    else:
        net = next((net for part, net in _CAFFE_NAMES.items() if part in model.name.lower()), None)
        doubt = _UNTOLD
    return (net, "") if net else (CAFFE, doubt)


def _order(net: str) -> tuple[str, ...]:
    """The types that Caffe gives the norms and pools of a net, one after the other."""
    return tuple(_CAFFE_TYPES[type(row)] for row in find(net).rows if type(row) in _CAFFE_TYPES)


def _open_compressed(file: MappedFile) -> _Found:
    shapes = _compressed_shapes()
    return _Found(CAFFE, shapes, lambda: read_compressed(file.content, shapes))


def _compressed_shapes() -> Shapes:
    return tensor_shapes(find(CAFFE))


_OPENERS: Mapping[str, Callable[[MappedFile], _Found]] = {
    PTH: _open_pth,
    CAFFEMODEL: _open_caffemodel,
    COMPRESSED: _open_compressed,
}
KINDS = tuple(_OPENERS)


def _shapes(tensors: Mapping[str, NDArray[Any]]) -> Shapes:
    return {key: tensor.shape for key, tensor in tensors.items()}


def _spec(found: _Found, net: str | None) -> Spec:
    """The net, of as many classes as the file has logits; refused where its shapes are others, or nothing tells it."""
    spec = find(net or found.net)
    logits = found.shapes.get(f"{spec.classifier.name}.bias", ())
    if len(logits) == 1 and logits[0] != spec.num_classes:
        spec = spec.with_classes(logits[0])
    check_shapes(spec, found.shapes)
    if found.doubt and not net:
        raise WeightsError(found.doubt)
    return spec


def published_classes(count: int) -> tuple[ClassInfo, ...]:
    """ILSVRC-2012's by WordNet id where there are as many: the order of Caffe and torchvision alike."""
    if count != len(imagenet_classes()):
        return unnamed_classes(count)
    return tuple(class_info(index, wnid) for index, wnid in enumerate(imagenet_classes()))


def checked(file: MappedFile, spec: Spec, tensors: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[np.float32]]:
    """The tensors where they lie in the file if they are float32 and in order there; else copies that are.

    Raises:
        WeightsError: they are not those of the net, or not finite.
    """
    in_file = all(_is_float32(tensor) and file.offset(tensor) is not None for tensor in tensors.values())
    if not in_file:
        tensors = {key: np.require(tensor, np.float32, ["C", "A", "W"]) for key, tensor in tensors.items()}
    check_tensors(spec, tensors)
    file.let_go()
    if not in_file:
        return tensors
    kind = StoredTensors if all(tensor.flags.aligned for tensor in tensors.values()) else MappedTensors
    return kind(file, tensor_shapes(spec), tensors)


def _is_float32(tensor: NDArray[Any]) -> bool:
    return tensor.dtype == np.float32 and tensor.flags.c_contiguous
