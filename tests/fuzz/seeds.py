"""Small good files of every format and layout, which the fuzzer changes."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from alexnet.arch import NETS
from alexnet.arch.rows import Conv, Dropout, Fc, Lrn, MaxPool, Relu, Softmax
from alexnet.arch.spec import Spec
from alexnet.data.splits import unnamed_classes
from alexnet.interop.onnx import Graph
from alexnet.interop.protobuf import read_fields, write_block, write_floats, write_integer, write_integers, write_text
from alexnet.interop.torchvision import ROWS
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, save_weights
from alexnet.weights.check import tensor_shapes
from alexnet.weights.files import save_packed
from alexnet.weights.huggingface import save_huggingface
from alexnet.weights.packed import Coded
from alexnet.weights.pth import save_pth

Files = Mapping[str, bytes]  # name to content, of files that are read together


def tiny() -> Weights:
    rows = (
        Conv("conv1", 4, 3, stride=2),
        Relu("relu1"),
        Lrn("norm1"),
        MaxPool("pool1", 3, 2),
        Conv("conv2", 4, 3, padding=1, groups=2),
        Fc("fc3", 6),
        Dropout("drop3"),
        Fc("fc4", 3),
        Softmax("prob"),
    )
    spec = Spec(name="tiny", source="a test", input=(3, 12, 12), rows=rows)
    return Weights(
        spec=spec,
        classes=unnamed_classes(3),
        preprocessing=Preprocessing(resize=16, crop=12, mean_image=np.full((3, 16, 16), 120, np.float32)),
        tensors=random_tensors(spec),
        recipe={"name": "a recipe"},
        errors=({"data": "d", "split": "val", "views": "center", "top1_error": 0.5, "top5_error": None},),
        probe={"logits": [0.5] * 3, "crc32": {"fc3.weight": "00000000"}},
        licence="MIT",
    )


def random_tensors(spec: Spec) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in tensor_shapes(spec).items()}


def written(write: Callable[..., object], *arguments: Any, name: str) -> Files:
    """The files that `write(path, *arguments)` leaves."""
    with TemporaryDirectory() as folder:
        write(Path(folder, name), *arguments)
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def safetensors() -> list[Files]:
    weights = tiny()
    plain = replace(weights, preprocessing=Preprocessing(resize=(16, 16), crop=12, mean=(1.0, 2.0, 3.0)), probe=None)
    (coded,) = (files["small.safetensors"] for files in packed())
    return [
        *(written(save_weights, each, name="tiny.safetensors") for each in (weights, plain)),
        {"tiny.safetensors": coded},
    ]


def folders() -> list[Files]:
    """Of weights: like those of the Hugging Face Hub, of a run, and of files by their suffixes, whatever these hold."""
    hub = written(save_huggingface, tiny(), name="folder")
    model = safetensors()[0]["tiny.safetensors"]
    run = json.dumps({"format": 2, "options": {"data": "digits"}, "data": {"name": "digits"}}).encode()
    checkpoint = io.BytesIO()
    with zipfile.ZipFile(checkpoint, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data"), pickle.dumps({"model_state": {"layers": {}}}, 2))
    held = (model, checkpoint.getvalue(), *(files["small.net"] for files in compressed()[-1:]), b"<?xml ?>", b"")
    files = {f"{number}.pth": content for number, content in enumerate(held)}
    return [
        hub,
        {"run.json": run, "best.safetensors": model},
        {"run.json": run, "last.safetensors": model},
        {**files, ".hidden": b"", "notes.txt": b"no weights"},
    ]


def packed() -> list[Files]:
    """Without checksums, which whatever is changed in them would not have."""
    weights, codebook = replace(tiny(), probe=None), np.array([0, -0.1, 0.1, 0.2], np.float16)
    coded: dict[str, Any] = {
        key: Coded((np.arange(tensor.size) % 4).astype(np.uint8).reshape(tensor.shape), codebook)
        if key.endswith(".weight")
        else tensor
        for key, tensor in weights.tensors.items()
    }
    return [written(save_packed, weights, coded, name="small.safetensors")]


def onnx() -> list[Files]:
    from alexnet.export.onnx import onnx_graph

    graph = onnx_graph(tiny())
    wide = {**graph.initializers, "fc4.weight": graph.initializers["fc4.weight"].astype(np.int64)}
    graphs = (graph, _quantized(graph), onnx_graph(tiny(), uint8_input=True), replace(graph, initializers=wide))
    written = [each.serialize() for each in graphs]
    others = [_with(written[0], path, b"".join(fields)) for path, fields in _OF_OTHERS]
    return [{"net.onnx": content} for content in (*written, *others)]


# What other programs write into models: places of messages in them, by fields' numbers, and fields to add there.
_OF_OTHERS = (
    ((7, 1), [write_text(7, "com.example")]),  # a domain of its own
    ((7, 5), [write_integer(14, 1)]),  # a tensor in another file
    ((7, 5), [write_integers(1, [1] * 70)]),  # of many sides
    ((7, 1, 5), [write_integer(20, 3), write_text(4, "text")]),
    ((7, 1, 5), [write_integer(20, 6), write_floats(7, [1.0, 2.0])]),
    ((7, 12, 2, 1), [write_integer(1, 16)]),  # bfloat16
)


def _with(content: bytes, path: Sequence[int], more: bytes) -> bytes:
    """A message with `more` in the first message at `path` in it."""
    if not path:
        return content + more
    fields = list(read_fields(content))
    at = next(at for at, (number, _) in enumerate(fields) if number == path[0])
    inner = _with(bytes(cast(bytes, fields[at][1])), path[1:], more)
    parts = [
        write_block(number, [value]) if not isinstance(value, int) else [write_integer(number, value)]
        for number, value in fields
    ]
    parts[at] = write_block(path[0], [inner])
    return b"".join(piece for part in parts for piece in part)


def _quantized(graph: Graph) -> Graph:
    """The graph with whole numbers and scales in it, as int8 models have them."""
    key, scale = "fc3.weight", np.full(6, 0.01, np.float32)
    whole = np.rint(graph.initializers[key] * 100).astype(np.int8)
    return replace(graph, initializers={**graph.initializers, key: whole, f"{key}.scale": scale})


def openvino() -> list[Files]:
    from alexnet.export.openvino import save_openvino

    weights = tiny()
    plain = replace(weights, preprocessing=replace(weights.preprocessing, mean_image=None, mean=(1.0, 2.0, 3.0)))
    files = [written(save_openvino, each, name="net.xml") for each in (weights, plain)]
    size = len(files[0]["net.bin"])
    data = f'<data element_type="u8" offset="0" size="{size}" shape="{size}"/>'
    halves = "".join(f'<layer name="a{at}.tower0" type="Const">{data}</layer>' for at in range(2))
    same_bytes = files[0]["net.xml"].replace(b"</layers>", halves.encode() + b"</layers>")
    return [*files, {**files[0], "net.xml": same_bytes}]


def pth() -> list[Files]:
    import torch

    keys = {ours: theirs for theirs, ours in ROWS.items()}
    state = {}
    for key, array in random_tensors(NETS["one-weird-trick"].with_classes(3)).items():
        row, _, part = key.rpartition(".")
        state[f"{keys[row]}.{part}"] = torch.from_numpy(array)
    halves = {key: torch.nn.Parameter(tensor.half()) for key, tensor in state.items()}

    def save(path: Path, held: object, protocol: int = 2) -> None:
        torch.save(held, path, pickle_protocol=protocol)

    files = [written(save, held, name="net.pth") for held in (state, {"state_dict": halves, "epoch": 3})]
    plain = replace(tiny(), preprocessing=Preprocessing(resize=16, crop=12, mean=(1.0, 2.0, 3.0)))
    ours = [written(save_pth, weights, name="net.pth") for weights in (tiny(), plain)]
    return [*files, written(save, state, 4, name="net.pth"), *ours, {"net.pth": _zip64(files[0]["net.pth"])}]


def _zip64(content: bytes) -> bytes:
    """An archive as programs write those of over 4 GiB: with numbers of 64 bits in its directory."""
    file, limit = io.BytesIO(), zipfile.ZIP64_LIMIT
    zipfile.ZIP64_LIMIT = 100  # type: ignore[misc]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as other:
            for info in archive.infolist():
                other.writestr(info.filename, archive.read(info))
    finally:
        zipfile.ZIP64_LIMIT = limit  # type: ignore[misc]
    return file.getvalue()


def compressed() -> list[Files]:
    """Of Deep Compression's AlexNet: each layer has as many entries as this share of its weights."""
    return [{"small.net": _compressed_net(every)} for every in (1, 2, 1000)]


def _compressed_net(every: int) -> bytes:
    shapes = tensor_shapes(NETS["caffe"])
    weights = [shapes[key] for key in shapes if key.endswith(".weight")]
    counts = [int(np.prod(shape)) // every for shape in weights]
    parts = [np.array(counts, "<u4").tobytes()]
    for shape, count in zip(weights, counts, strict=True):
        codes = count if len(shape) == 4 else -(-count // 2)
        codebook = np.linspace(0, 1, 256 if len(shape) == 4 else 16, dtype="<f4").tobytes()
        parts += [codebook, bytes(4 * shape[0]), bytes([0x11]) * codes, bytes(-(-count // 2))]
    return b"".join(parts)


def pickles() -> list[Files]:
    from tests.data.test_pickles import ARRAYS, VALUES

    small = {name: array.reshape(-1)[:300] for name, array in ARRAYS.items()}
    held = {
        "values": VALUES | {"long list": [1] * 300, "long dict": {"a": 1}},
        "arrays": small,
        "number": np.float32(2),
    }
    return [{"batch": pickle.dumps(held, protocol)} for protocol in range(6)]
