"""A net with its weights becomes an OpenVINO model: in memory, or as a file of operations (.xml) beside one of tensors
(.bin), which can be given wherever weights can.
"""

import sys
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
from alexnet.errors import InputError, MissingExtraError
from alexnet.export.onnx import onnx_graph
from alexnet.export.towers import split_towers
from alexnet.interop.onnx import Graph, write_graph
from alexnet.weights import Weights
from alexnet.weights.openvino import BIN, STAMP, STAMP_START, XML

_REPORTER = "openvino_telemetry"


def load_openvino() -> Any:
    """The module `openvino`. Its import would be reported to its makers by a module of theirs: here there is none.

    Raises:
        MissingExtraError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault(_REPORTER, None)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings(action="ignore"):
            import openvino
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise MissingExtraError("OpenVINO", "openvino") from None
    return openvino


def to_openvino(graph: Graph) -> Any:
    """An `openvino.Model` that computes `graph`, what is grouped as two towers, with its names and its metadata."""
    return load_openvino().Core().read_model(split_towers(graph).serialize())


def save_openvino(path: Path, weights: Weights, *, uint8_input: bool = False) -> None:
    """Write `weights` as `path`, which ends in .xml, and its tensors beside it.

    Raises:
        as `save_openvino_graph`.
    """
    save_openvino_graph(path, onnx_graph(weights, uint8_input=uint8_input))


def save_openvino_graph(path: Path, graph: Graph) -> None:
    """Write a graph as `path` and its tensors beside it, both whole or not at all.

    Raises:
        InputError: a name that does not end in .xml.
        MissingExtraError: OpenVINO is not installed.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    if path.suffix != XML:
        raise InputError(f"{path}: an OpenVINO model is NAME.xml with NAME.bin beside it; give NAME.xml")
    stamp = f"{STAMP_START}{_checksum(graph)}"
    openvino, model = load_openvino(), to_openvino(replace(graph, metadata={**graph.metadata, STAMP: stamp}))
    with write_whole(path) as operations, write_whole(path.with_suffix(BIN)) as tensors:
        operations.touch()  # where it cannot be, it says so: the library would make folders
        named = operations.with_suffix(XML)  # the library insists
        try:
            openvino.serialize(model, str(named), str(tensors))
            with tensors.open("a") as file:
                file.write(stamp)
            named.replace(operations)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise OSError(f"{path}: cannot be written; is there room on the disk? ({reason})") from None
        finally:
            named.unlink(missing_ok=True)


def _checksum(graph: Graph) -> str:
    """CRC-32 of the graph and its tensors: eight hexadecimal digits."""
    crc = 0
    for part in write_graph(graph):
        crc = zlib.crc32(part, crc)
    return f"{crc:08x}"
