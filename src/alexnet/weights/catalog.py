"""Where weights are: an existing path wins over a name, and a file is what its bytes say, not what its suffix says."""

import os
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from alexnet.data.zip_index import walk_zip
from alexnet.errors import InputError, WeightsError
from alexnet.interop.caffe.model import SUFFIX as CAFFEMODEL_SUFFIX
from alexnet.interop.cuda_convnet.checkpoint import MEMBER
from alexnet.weights.caffe import caffe_files, read_caffe_header, read_caffe_weights
from alexnet.weights.cuda_convnet import CUDA_CONVNET, read_checkpoint_header, read_checkpoint_weights
from alexnet.weights.files import Header, Weights, read_header, read_weights
from alexnet.weights.foreign import (
    CAFFEMODEL,
    COMPRESSED,
    COMPRESSED_START,
    KINDS,
    PTH,
    is_deep_compression,
    read_foreign,
    read_foreign_header,
)
from alexnet.weights.hub import PREFIX, fetch_repository, is_on_hub
from alexnet.weights.huggingface import MODEL
from alexnet.weights.named import NAMED, read_named
from alexnet.weights.onnx import read_onnx_header, read_onnx_weights
from alexnet.weights.openvino import XML, openvino_files, read_openvino_header, read_openvino_weights
from alexnet.weights.pth import read_pth, read_pth_header
from alexnet.weights.stored import MappedTensors

RUN_FILE = "run.json"
IN_RUN_FOLDER = ("best.safetensors", "last.safetensors")

_WHAT_WEIGHTS_ARE = (
    f"a run folder (with run.json), a folder with {MODEL}, "
    "a .safetensors, .pth, .onnx or .xml file written by this package, "
    "torchvision's .pth, Caffe's .caffemodel, Deep Compression's .net, a checkpoint of cuda-convnet, "
    f"a name ({', '.join(NAMED)}), or {PREFIX}OWNER/NAME on the Hugging Face Hub"
)

# What files of weights hold, as `sniff` says it, to what reads them and their headers.
READERS: Mapping[str, tuple[Callable[[Path], Weights], Callable[[Path], Header]]] = {
    "safetensors": (read_weights, read_header),
    "onnx": (read_onnx_weights, read_onnx_header),
    "openvino": (read_openvino_weights, read_openvino_header),
    CUDA_CONVNET: (read_checkpoint_weights, read_checkpoint_header),
    **{kind: (partial(read_foreign, kind=kind), partial(read_foreign_header, kind=kind)) for kind in KINDS},
    CAFFEMODEL: (read_caffe_weights, read_caffe_header),
    PTH: (read_pth, read_pth_header),
}

# The files of weights that are in several.
_FILES: Mapping[str, Callable[[Path], Iterable[Path]]] = {"openvino": openvino_files, CAFFEMODEL: caffe_files}

# That files of ours are given; not believed. A folder has none.
SUFFIXES = {"safetensors": ".safetensors", PTH: ".pth", "onnx": ".onnx", "openvino": XML, "caffe": CAFFEMODEL_SUFFIX}

_ZIP = b"PK\x03\x04"
_MOST_MEMBERS = 1 << 14  # ours, of a zip archive: a .pth has some fifty

# First bytes of files that people call weights. Two are protobuf: field 1 of an ONNX model is a number, of a Caffe
# net its name.
_SIGNATURES = {
    _ZIP: PTH,
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": "a .pth file of PyTorch before 1.6, save it again with a newer one",
    b"\x80": CUDA_CONVNET,
    b"(dp": CUDA_CONVNET,  # a dict in a pickle of protocol 0, which has no signature
    b"}q": CUDA_CONVNET,  # of protocol 1
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": CUDA_CONVNET,
    b"<?xml": "openvino",
    b"\x08": "onnx",
    b"\x0a": CAFFEMODEL,
    b"\xa2\x06": CAFFEMODEL,  # a net without a name
    b"\x12": CAFFEMODEL,  # the same, with layers of before 2014
}
_HEADER_LENGTH_BYTES = 8  # safetensors: the length of the JSON header, little-endian, then the header


def find_weights(where: str | Path) -> Weights:
    """The weights that `where` means: a folder (of a run its best, else its last), a file, a name of `NAMED`, hf:....

    Raises:
        WeightsError: nothing is there, it is something else, or it is damaged; one line that says what would do.
        DownloadError, MissingExtraError: a name whose weights are not here yet, and cannot be downloaded.
    """
    path, named = Path(where), NAMED.get(str(where))
    if named and not _is_weights(path):  # such as the folder of a data set that is called like what was trained on it
        return read_named(named)
    if path.is_dir():
        return read_weights(in_folder(path))
    if path.exists():
        read, _ = _readers(path)
        return read(path)
    if is_on_hub(str(where)):
        return read_weights(fetch_repository(str(where)))
    near = get_close_matches(str(where).lower(), NAMED)
    hint = f"did you mean {' or '.join(near)}? Else " if near else ""
    raise WeightsError(f"no weights at {str(where)!r}: {hint}give {_WHAT_WEIGHTS_ARE}")


def _is_weights(path: Path) -> bool:
    return path.is_file() or is_folder_of_weights(path)


def is_folder_of_weights(path: Path) -> bool:
    """Is it a run folder, or one like those of the Hugging Face Hub?"""
    return any((path / name).is_file() for name in (RUN_FILE, MODEL))


def find_header(path: Path) -> Header:
    """What a file of weights says of them, read without them.

    Raises:
        WeightsError: as `find_weights`.
    """
    _, read = _readers(path)
    return read(path)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that the weights at `path` consist of."""
    if path.is_dir():
        return tuple(sorted(path.iterdir()))
    found = _FILES.get(sniff(path))
    return tuple(found(path)) if found else (path,)


def read_from(where: str | Path, weights: Weights) -> set[Path]:
    """The files, resolved, that the `weights` of `where` were read from, or, being large, still are."""
    path = Path(where)
    path = in_folder(path) if is_folder_of_weights(path) else path
    files = set(files_of(path)) if path.is_file() else set()
    if isinstance(weights.tensors, MappedTensors):
        files.add(weights.tensors.file.path)
    return {file.resolve() for file in files}


def _readers(path: Path) -> tuple[Callable[[Path], Weights], Callable[[Path], Header]]:
    kind = sniff(path)
    if kind not in READERS:
        raise WeightsError(f"{path}: {kind}; give {_WHAT_WEIGHTS_ARE}")
    return READERS[kind]


def sniff(path: Path) -> str:
    """What a file holds by its first bytes: a key of `READERS`, or words for people.

    Raises:
        WeightsError: it cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start, size = file.read(COMPRESSED_START), os.fstat(file.fileno()).st_size
            if start.startswith(_ZIP) and _has_checkpoint(file):
                return CUDA_CONVNET
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        return "an empty file"
    if start[_HEADER_LENGTH_BYTES : _HEADER_LENGTH_BYTES + 1] == b"{":
        return "safetensors"
    if is_deep_compression(start, size):
        return COMPRESSED
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            return kind
    return "not a file of weights"


def _has_checkpoint(archive: BinaryIO) -> bool:
    """Has a zip archive the member that cuda-convnet wrote? Those of PyTorch are all in a folder."""
    try:
        return any(member.name == MEMBER for member in islice(walk_zip(archive, "the archive"), _MOST_MEMBERS))
    except InputError:  # damaged, which whoever reads it says
        return False


def in_folder(folder: Path) -> Path:
    """The file of weights in a folder.

    Raises:
        WeightsError: there is none.
    """
    if not is_folder_of_weights(folder):
        raise WeightsError(f"{folder}: a folder without {RUN_FILE}; give {_WHAT_WEIGHTS_ARE}")
    for name in (*IN_RUN_FOLDER, MODEL):
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder}: this run has saved no weights yet ({' or '.join(IN_RUN_FOLDER)})")
