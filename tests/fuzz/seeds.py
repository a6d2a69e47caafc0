"""Small good files of every format and layout, which the fuzzer changes."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
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
from alexnet.weights.caffe import save_caffe
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


def _written(write: Callable[..., object], *arguments: Any, name: str) -> Files:
    """The files that `write(path, *arguments)` leaves."""
    with TemporaryDirectory() as folder:
        write(Path(folder, name), *arguments)
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def safetensors() -> list[Files]:
    weights = tiny()
    plain = replace(weights, preprocessing=Preprocessing(resize=(16, 16), crop=12, mean=(1.0, 2.0, 3.0)), probe=None)
    (coded,) = (files["small.safetensors"] for files in packed())
    return [
        *(_written(save_weights, each, name="tiny.safetensors") for each in (weights, plain)),
        {"tiny.safetensors": coded},
    ]


def folders() -> list[Files]:
    """Of weights: like those of the Hugging Face Hub, and of a run."""
    hub = _written(save_huggingface, tiny(), name="folder")
    (model,) = (files["tiny.safetensors"] for files in safetensors()[:1])
    run = json.dumps({"format": 2, "options": {"data": "digits"}, "data": {"name": "digits"}}).encode()
    return [hub, {"run.json": run, "best.safetensors": model}, {"run.json": run, "last.safetensors": model}]


def packed() -> list[Files]:
    weights, codebook = tiny(), np.array([0, -0.1, 0.1, 0.2], np.float16)
    coded: dict[str, Any] = {
        key: Coded((np.arange(tensor.size) % 4).astype(np.uint8).reshape(tensor.shape), codebook)
        if key.endswith(".weight")
        else tensor
        for key, tensor in weights.tensors.items()
    }
    return [_written(save_packed, weights, coded, name="small.safetensors")]


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
    files = [_written(save_openvino, each, name="net.xml") for each in (weights, plain)]
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

    files = [_written(save, held, name="net.pth") for held in (state, {"state_dict": halves, "epoch": 3})]
    plain = replace(tiny(), preprocessing=Preprocessing(resize=16, crop=12, mean=(1.0, 2.0, 3.0)))
    ours = [_written(save_pth, weights, name="net.pth") for weights in (tiny(), plain)]
    return [*files, _written(save, state, 4, name="net.pth"), *ours, {"net.pth": _zip64(files[0]["net.pth"])}]


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


def caffemodel() -> list[Files]:
    tensors = random_tensors(NETS["caffe"].with_classes(3))
    return [{"net.caffemodel": caffe_net(tensors, name, v1)} for name in ("AlexNet", "") for v1 in (False, True)]


def caffe_net(tensors: Mapping[str, np.ndarray], name: str, v1: bool) -> bytes:
    """Of the present layout or of V1; without a name the layers tell what it is."""
    layers, named, kind, blobs = (2, 4, 5, 6) if v1 else (100, 1, 2, 7)
    parts = [write_text(1, name)] if name else []
    for layer in dict.fromkeys(key.partition(".")[0] for key in tensors):
        fields = [write_text(named, layer)]
        for part in ("weight", "bias"):
            array = tensors[f"{layer}.{part}"]
            sides = (1,) * (4 - array.ndim) + array.shape
            old = [write_integer(number, side) for number, side in enumerate(sides, start=1)]
            shape = old if v1 else write_block(7, [write_integers(1, array.shape)])
            fields += write_block(blobs, [*shape, *write_block(5, [array.tobytes()])])
        parts += write_block(layers, fields)
    for order in () if name else (("LRN", 15), ("Pooling", 17), ("LRN", 15), ("Pooling", 17), ("Pooling", 17)):
        parts += write_block(layers, [write_integer(kind, order[1]) if v1 else write_text(kind, order[0])])
    return b"".join(parts)


def caffe_files() -> list[Files]:
    """A trained net, its definition, its mean image and its classes, in both layouts."""
    return [_written(partial(save_caffe, v1=v1), tiny(), name="net.caffemodel") for v1 in (False, True)]


def prototxts() -> list[Files]:
    deploys = [files["net.prototxt"].decode() for files in caffe_files()]
    return [{"net.prototxt": text.encode()} for text in (*deploys, _TRAIN_VAL, _OLD_TRAIN_VAL)]


_DATA = (
    "data_param { source: 'a' batch_size: 5 } transform_param { crop_size: 16 mirror: true scale: 0.5 mean_value: 3 }"
)
_TRAIN_VAL = f"""
name: "net"  # both phases
layer {{ name: "data" type: "Data" top: "data" top: "label" {_DATA} include {{ phase: TRAIN }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" {_DATA} include {{ phase: TEST }} }}
layer {{ name: "two" type: "Slice" bottom: "data" top: "one" top: "rest" slice_param {{ axis: 1 slice_point: 1 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "rest" top: "conv" param {{ lr_mult: 1 }} convolution_param {{
  num_output: 4 kernel_size: 3 pad: 1 group: 2 weight_filler {{ type: "xavier" }} bias_filler {{ value: 1 }} }} }}
layer {{ name: "tanh" type: "TanH" bottom: "conv" top: "conv" }}
layer {{ name: "split" type: "Split" bottom: "conv" top: "a" top: "b" }}
layer {{ name: "power" type: "Power" bottom: "a" top: "c" power_param {{ scale: 0.5 }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "b" bottom: "c" top: "d" eltwise_param {{ coeff: 1 coeff: 2 }} }}
layer {{ name: "lrn" type: "LRN" bottom: "d" top: "e" lrn_param {{ norm_region: WITHIN_CHANNEL local_size: 3 }} }}
layer {{ name: "pool" type: "Pooling" bottom: "e" top: "f" pooling_param {{ pool: AVE kernel_size: 3 stride: 2 }} }}
layer {{ name: "cat" type: "Concat" bottom: "f" bottom: "f" top: "g" }}
layer {{ name: "flat" type: "Flatten" bottom: "g" top: "h" }}
layer {{ name: "fc" type: "InnerProduct" bottom: "h" top: "fc" inner_product_param {{ num_output: 3
  weight_filler {{ type: "msra" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""
_OLD_TRAIN_VAL = """
name: "old"
layers { name: "data" type: DATA top: "data" top: "label"
  data_param { source: "a" crop_size: 8 mean_file: "m" scale: 2 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" blobs_lr: 1 weight_decay: 1
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "relu" type: RELU bottom: "fc" top: "fc" }
layers { name: "fc2" type: INNER_PRODUCT bottom: "fc" top: "fc2" inner_product_param { num_output: 3 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc2" bottom: "label" }
"""


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
