"""Files of other programs, in small: the published nets with few maps and units, under their own names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alexnet.arch import NETS
from alexnet.arch.rows import Conv, Fc, Row
from alexnet.arch.spec import Spec
from alexnet.interop.protobuf import write_block, write_integers, write_text
from alexnet.weights.check import tensor_shapes

Tensors = dict[str, NDArray[np.float32]]

PUBLISHED = ("one-weird-trick", "caffe", "caffenet")


def narrow(spec: Spec) -> Spec:
    def row(row: Row) -> Row:
        if isinstance(row, Conv):
            return replace(row, out_channels=4)
        return replace(row, out_features=6) if isinstance(row, Fc) and row != spec.classifier else row

    return replace(spec, rows=tuple(map(row, spec.rows)))


@pytest.fixture
def small_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`find` gives the published nets with 4 maps and 6 units a row, of 1,000 classes still."""
    for name in PUBLISHED:
        monkeypatch.setitem(NETS, name, narrow(NETS[name]))


@pytest.fixture
def random_tensors(small_nets: None) -> Callable[..., Tensors]:
    """Tensors of a small published net, of 1,000 classes or another number."""

    def make(net: str, classes: int = 1000) -> Tensors:
        rng = np.random.default_rng(0)
        shapes = tensor_shapes(NETS[net].with_classes(classes))
        return {key: rng.normal(0, 0.2, shape).astype(np.float32) for key, shape in shapes.items()}

    return make


@pytest.fixture
def write_caffemodel(tmp_path: Path) -> Callable[..., Path]:
    """A .caffemodel file of tensors by their keys, with the name of the net in it."""

    def write(tensors: Tensors, name: str, file: str = "net.caffemodel") -> Path:
        parts = [write_text(1, name)]
        for layer in dict.fromkeys(key.partition(".")[0] for key in tensors):
            fields = [write_text(1, layer)]
            for part in ("weight", "bias"):
                array = tensors[f"{layer}.{part}"]
                shape = write_block(7, [write_integers(1, array.shape)])
                fields += write_block(7, [*shape, *write_block(5, [array.tobytes()])])
            parts += write_block(100, fields)
        (tmp_path / file).write_bytes(b"".join(parts))
        return tmp_path / file

    return write


@pytest.fixture
def write_compressed(tmp_path: Path) -> Callable[[], Path]:
    """A file of Deep Compression's for the small `caffe`: each weight's place has an entry, and code 1."""

    def write() -> Path:
        shapes = tensor_shapes(NETS["caffe"])
        weights = [key for key in shapes if key.endswith(".weight")]
        counts = [int(np.prod(shapes[key])) for key in weights]
        parts = [np.array(counts, "<u4").tobytes()]
        for key, count in zip(weights, counts, strict=True):
            is_conv = len(shapes[key]) == 4
            values = np.zeros(256 if is_conv else 16, "<f4")
            values[1] = 0.5
            codes = bytes([1]) * count if is_conv else bytes([0x11]) * (-(-count // 2))
            parts += [values.tobytes(), bytes(4 * shapes[key][0]), codes, bytes(-(-count // 2))]
        (tmp_path / "small.net").write_bytes(b"".join(parts))
        return tmp_path / "small.net"

    return write
