"""Weights in OpenVINO's files: the metadata of `files.py` in the .xml, the tensors in the .bin beside it.

Read without OpenVINO. A tensor that was cut in two towers lies there as two.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.serial import spec_from_json
from alexnet.errors import WeightsError
from alexnet.weights.check import check_finite, tensor_shapes
from alexnet.weights.files import MEAN_IMAGE, METADATA_KEY, Header, Weights, header_of, named_in_errors, read_metadata
from alexnet.weights.onnx import checked_metadata, mean_image_of
from alexnet.weights.stored import MappedFile, StoredTensors

XML, BIN = ".xml", ".bin"

# A text of the .xml with which its .bin ends: no process can move two files at once, and the two are to be one model's.
STAMP, STAMP_START = "alexnet.stamp", "alexnet:"
_STAMP_LENGTH = len(STAMP_START) + 8

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "i8": np.dtype("i1"),
    "u8": np.dtype("u1"),
    "i32": np.dtype("<i4"),
    "i64": np.dtype("<i8"),
}
_HALVES = (".tower0", ".tower1")


class OpenVINOTensors(StoredTensors):
    """The tensors of a .bin file, and the .xml file that runs them."""

    def __init__(self, file: MappedFile, keys: Iterable[str], views: Mapping[str, NDArray[Any]], xml: Path) -> None:
        super().__init__(file, keys, views)
        self.xml = xml


def openvino_files(path: Path) -> tuple[Path, ...]:
    """The files of the weights in an .xml file."""
    return path, path.with_suffix(BIN)


def read_openvino_weights(path: str | Path) -> Weights:
    """The weights in an .xml file that this package wrote; its tensors stay in the .bin file until they are wanted.

    Raises:
        WeightsError: not such files, a part of one, one of a newer version, or tensors that are not its net's.
    """
    path = Path(path)
    with named_in_errors(path):
        texts, file, views = _read(path)
        stored = checked_metadata(texts, views, "an OpenVINO model")
        spec = spec_from_json(stored["spec"])
        tensors = OpenVINOTensors(file, tensor_shapes(spec), views, path)
        check_finite(spec, tensors.stored)
        file.let_go()
        return read_metadata(stored, tensors, mean_image_of(texts, stored))


def read_openvino_header(path: str | Path) -> Header:
    """What an .xml file says of its weights, read without them.

    Raises:
        WeightsError: as `read_openvino_weights`, but for numbers, which it does not look at.
    """
    with named_in_errors(Path(path)):
        texts, _, views = _read(Path(path))
        return header_of(checked_metadata(texts, views, "an OpenVINO model"))


def _read(path: Path) -> tuple[dict[str, str], MappedFile, dict[str, NDArray[Any]]]:
    """(the model's texts, the file of tensors, tensors by name)."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise WeightsError(f"not a whole XML file, copy it again ({error})") from None
    texts = {}
    for key in (METADATA_KEY, MEAN_IMAGE, STAMP):
        found = root.find(f"rt_info/framework/{key}")
        if found is not None:
            texts[key] = found.get("value", "")
    beside = path.with_suffix(BIN)
    if not beside.is_file():
        raise WeightsError(f"its tensors are missing; put {beside.name} beside it")
    file = MappedFile(beside)
    stamp = bytes(file.content[-_STAMP_LENGTH:])
    if stamp.startswith(STAMP_START.encode()) and stamp != texts.get(STAMP, "").encode():
        raise WeightsError(f"{beside.name} beside it is another model's; write or copy both again")
    views = {}
    for layer in root.iterfind("layers/layer[@type='Const']"):
        data = layer.find("data")
        if data is not None and data.get("element_type") in _DTYPES:
            views[layer.get("name", "")] = _view(file, data.attrib, beside.name)
    halves = sum(view.nbytes for name, view in views.items() if name.endswith(_HALVES))
    if halves > len(file.content):  # the same bytes as many tensors: put together they could take any memory
        raise WeightsError(f"{beside.name} beside it has fewer bytes than its tensors; write or copy both again")
    return texts, file, _joined(views)


def _view(file: MappedFile, data: Mapping[str, str], name: str) -> NDArray[Any]:
    offset, size = int(data["offset"]), int(data["size"])
    if offset < 0 or offset + size > len(file.content):
        raise WeightsError(f"{name} beside it is cut short or another model's; copy both again")
    shape = tuple(int(side) for side in data["shape"].split(",") if side)
    return np.frombuffer(file.content[offset : offset + size], _DTYPES[data["element_type"]]).reshape(shape)


def _joined(views: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """With the two halves of a tensor in one piece, under its own name."""
    first, second = _HALVES
    whole = {
        name.removesuffix(first): np.concatenate([view, views[name.removesuffix(first) + second]])
        for name, view in views.items()
        if name.endswith(first) and name.removesuffix(first) + second in views
    }
    return views | whole
