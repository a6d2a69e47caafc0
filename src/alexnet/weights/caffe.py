"""Weights in Caffe's files: NAME.caffemodel, NAME.prototxt (the net and its images), NAME.binaryproto (the mean image)
and NAME.txt (names of classes, one a line, after its WordNet id if it has one). All but the first may be missing.

Without a definition beside it a trained net is one of Caffe's two, or none: see `foreign.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.ilsvrc import class_info
from alexnet.data.splits import ClassInfo
from alexnet.errors import InputError
from alexnet.interop.caffe import mean, prototxt
from alexnet.interop.caffe.blob import Array
from alexnet.interop.caffe.model import read_caffemodel
from alexnet.interop.caffe.prototxt import Definition, read_prototxt
from alexnet.preprocess import LARGEST_CANVAS
from alexnet.weights.check import check_shapes
from alexnet.weights.files import Header, Weights, named_in_errors
from alexnet.weights.foreign import CAFFEMODEL, checked_tensors, published_classes, read_foreign, read_foreign_header
from alexnet.weights.stored import MappedFile

NAMES = ".txt"

_USUAL_NAMES = ("deploy.prototxt", "train_val.prototxt")  # of definitions that are not called as the net is
_WORDNET = re.compile(r"(?P<wnid>n\d{8})(?:\s+(?P<name>.*))?")
_MOST_NAME_BYTES = 1 << 22  # ours: the 21,841 classes of all of ImageNet have 0.8 million
_MOST_MEAN_BYTES = 8 * 3 * LARGEST_CANVAS**2


@dataclass(frozen=True)
class CaffeFiles:
    """The files of a net that are there, beside its .caffemodel file."""

    trained: Path
    definition: Path | None
    mean: Path | None = None
    names: Path | None = None

    def __iter__(self) -> Iterator[Path]:
        return iter(path for path in (self.trained, self.definition, self.mean, self.names) if path)


def caffe_files(path: Path) -> CaffeFiles:
    """The files that belong to a .caffemodel file; it alone where no definition lies beside it."""
    definition = _definition_of(path)
    if definition is None:
        return CaffeFiles(path, None)
    images, names = path.with_suffix(mean.SUFFIX), path.with_suffix(NAMES)
    return CaffeFiles(path, definition, images if images.is_file() else None, names if names.is_file() else None)


def _definition_of(path: Path) -> Path | None:
    """That of its name, else the only one in the folder, if it is called as usual."""
    if (own := path.with_suffix(prototxt.SUFFIX)).is_file():
        return own
    found = list(path.parent.glob(f"*{prototxt.SUFFIX}"))
    return found[0] if len(found) == 1 and found[0].name in _USUAL_NAMES else None


def read_caffe_weights(path: Path) -> Weights:
    """The weights in a .caffemodel file: of the net that the definition beside it says, or of Caffe's own two.

    Tensors stay in the file until they are wanted, if they lie there as processors like them.

    Raises:
        WeightsError: a damaged file, or files that do not fit together.
        MissingExtraError: there is a definition, and the protobuf library is not installed.
    """
    files = caffe_files(path)
    if files.definition is None:
        return read_foreign(path, CAFFEMODEL)
    with named_in_errors(path):
        definition, file = read_prototxt(files.definition), MappedFile(path)
        spec = definition.spec
        return Weights(
            spec=spec,
            classes=_classes(files.names, spec.num_classes),
            preprocessing=definition.images.preprocessing(_mean_image(files, definition)),
            tensors=checked_tensors(file, spec, _tensors(file, definition)),
        )


def read_caffe_header(path: Path) -> Header:
    """What Caffe's files say of the weights in them.

    Raises:
        WeightsError, MissingExtraError: as `read_caffe_weights`, but for numbers, which it does not look at.
    """
    files = caffe_files(path)
    if files.definition is None:
        return read_foreign_header(path, CAFFEMODEL)
    with named_in_errors(path):
        definition = read_prototxt(files.definition)
        shapes = {key: tensor.shape for key, tensor in _tensors(MappedFile(path), definition).items()}
        check_shapes(definition.spec, shapes)
        classes = _classes(files.names, definition.spec.num_classes)
        return Header(spec=definition.spec, classes=classes, errors=(), licence=None)


def _tensors(file: MappedFile, definition: Definition) -> dict[str, Array]:
    """The blobs by the names of our rows; what the definition does not name keeps its own."""
    found: dict[str, Array] = {}
    for key, array in read_caffemodel(file.content).tensors.items():
        layer, _, part = key.rpartition(".")
        found[f"{definition.layers.get(layer, layer)}.{part}"] = array
    return found


def _mean_image(files: CaffeFiles, definition: Definition) -> Array | None:
    said = definition.images
    path = files.mean or (files.trained.with_name(said.mean_file) if said.mean_file else None)
    if path is None:
        return None
    if said.mean:
        raise InputError(f"{path.name} is a mean image, and {files.definition} has a mean_value; move one of them away")
    try:
        with path.open("rb") as file:
            size = min(path.stat().st_size, _MOST_MEAN_BYTES)  # `read` takes all the memory that it is told beforehand
            return mean.read_mean_image(file.read(size))
    except FileNotFoundError:
        raise InputError(f"{files.definition} wants the mean image {path.name}, which is not beside it") from None
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


def _classes(path: Path | None, count: int) -> tuple[ClassInfo, ...]:
    if path is None:
        return published_classes(count)
    with path.open("rb") as file:
        lines = file.read(_MOST_NAME_BYTES).decode(errors="replace").splitlines()
    names = [line.strip() for line in lines]
    if len(names) != count or not all(names):
        raise InputError(f"{path.name} is to name {count} classes, one a line, and has {len(names)} lines")
    return tuple(_class(index, name) for index, name in enumerate(names))


def _class(index: int, line: str) -> ClassInfo:
    found = _WORDNET.fullmatch(line)
    if not found:
        return ClassInfo(index, line)
    return ClassInfo(index, found["name"], found["wnid"]) if found["name"] else class_info(index, found["wnid"])
