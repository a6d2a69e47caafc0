"""Small good files of Caffe, which the fuzzer changes."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from tests.fuzz.seeds import Files, random_tensors, tiny, written

from alexnet.arch import NETS
from alexnet.arch.rows import Lrn
from alexnet.data.splits import ClassInfo
from alexnet.interop.caffe.deploy import write_prototxt
from alexnet.interop.protobuf import write_block, write_float, write_integer, write_integers, write_text
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights
from alexnet.weights.caffe_writer import save_caffe


def caffemodel() -> list[Files]:
    """Of both layouts, with a name or with layers that tell the net; and with numbers one by one,
    as may be. The last has no weights."""
    tensors = random_tensors(NETS["caffe"].with_classes(3))
    seeds = [caffe_net(tensors, name, v1) for name in ("AlexNet", "") for v1 in (False, True)]
    seeds.append(caffe_net(random_tensors(NETS["caffenet"].with_classes(1000)), "CaffeNet", v1=True))
    seeds.append(caffe_net(tensors, "AlexNet", v1=False, apart=True))
    return [{"net.caffemodel": content} for content in (*seeds, caffe_net({}, "", v1=True))]


def caffe_net(tensors: Mapping[str, np.ndarray], name: str, v1: bool, apart: bool = False) -> bytes:
    """Of the present layout or of V1; without a name the layers tell what it is. apart: a field for each bias."""
    layers, named, kind, blobs = (2, 4, 5, 6) if v1 else (100, 1, 2, 7)
    parts = [write_text(1, name)] if name else []
    for layer in dict.fromkeys(key.partition(".")[0] for key in tensors):
        fields = [write_text(named, layer)]
        for part in ("weight", "bias"):
            array = tensors[f"{layer}.{part}"]
            sides = (1,) * (4 - array.ndim) + array.shape
            old = [write_integer(number, side) for number, side in enumerate(sides, start=1)]
            shape = old if v1 else write_block(7, [write_integers(1, array.shape)])
            numbers = write_block(5, [array.tobytes()])
            if apart and part == "bias":
                numbers = [write_float(5, number) for number in array.tolist()]
            fields += write_block(blobs, [*shape, *numbers])
        parts += write_block(layers, fields)
    for order in () if name else (("LRN", 15), ("Pooling", 17), ("LRN", 15), ("Pooling", 17), ("Pooling", 17)):
        parts += write_block(layers, [write_integer(kind, order[1]) if v1 else write_text(kind, order[0])])
    return b"".join(parts)


def caffe_files() -> list[Files]:
    """Trained nets with what may lie beside them: in both layouts, and each of these in several ways."""
    plain = replace(tiny(), preprocessing=Preprocessing(resize=(16, 14), crop=12, mean=(1.0, 2.0, 3.0), scale=0.5))
    known = (ClassInfo(0, "tench", "n01440764"), ClassInfo(1, "a plain name"), ClassInfo(2, "x"))
    nets = [_saved(tiny()), _saved(tiny(), v1=True), _saved(plain), _saved(replace(tiny(), classes=known))]
    usual = {"net.caffemodel": nets[2]["net.caffemodel"], "deploy.prototxt": nets[2]["net.prototxt"]}
    strange = {**nets[0], "net.txt": b"n01440764\nn01443537 goldfish\nn99999999\n"}
    alone = caffemodel()[0]
    fed = [_fed(nets[0], data) for data in (*_FED, _FED[0] + _LABELS)]
    colour = {name: content for name, content in fed[-2].items() if name != "net.binaryproto"}
    return [*nets, *fed, colour, usual, strange, alone, {**usual, **alone, "train_val.prototxt": b""}]


def _fed(files: Files, data: str) -> Files:
    """The same net, fed by something else; its mean image goes where that says a mean colour."""
    layers = files["net.prototxt"].decode().split("layer {")[2:]
    text = lines("\n".join([data, *(f"layer {{{layer}" for layer in layers)]))
    gone = {"net.binaryproto"} if "mean_value" in data else set()
    return {name: content for name, content in files.items() if name not in gone} | {"net.prototxt": text.encode()}


def _saved(weights: Weights, *, v1: bool = False) -> Files:
    return written(partial(save_caffe, v1=v1), weights, name="net.caffemodel")


def prototxts() -> list[Files]:
    norms = tiny().spec.with_rows({"norm1": Lrn("norm1", groups=2)})
    deploys = [files["net.prototxt"].decode() for files in (_saved(tiny()), _saved(replace(tiny(), spec=norms)))]
    known = write_prototxt(NETS["caffe"].with_classes(3), Preprocessing(crop=227, channel_order="BGR"))
    texts = [*deploys, known, *map(lines, (_TRAIN_VAL, _OLD_TRAIN_VAL, _OLD_DEPLOY, _TRAIN_ONLY, _LOGITS)), _SOLVER]
    return [{"net.prototxt": text.encode()} for text in texts]


def lines(text: str) -> str:
    """With each field on a line of its own, which is what changes are made to."""
    return re.sub(r"\s+(?=\w+\s*[:{]|\})", "\n", text)


# What may feed a net of 12 pixels whose mean image is of 16.
_FED = (
    "layer { name: 'data' type: 'Data' top: 'data' data_param { crop_size: 12 mean_file: 'a/net.binaryproto' } }",
    "layer { name: 'data' type: 'ImageData' top: 'data' transform_param { mean_value: 3 scale: 0.5 } "
    "image_data_param { new_height: 12 new_width: 12 } }",
    "layer { name: 'data' type: 'MemoryData' top: 'data' memory_data_param { channels: 3 height: 12 width: 12 } }",
    "layer { name: 'data' type: 'MemoryData' top: 'data' transform_param { crop_size: 12 mean_value: [1, 2, 3] } "
    "memory_data_param { channels: 3 height: 16 width: 16 } image_data_param { new_height: 16 } }",
    "input: 'data' input_shape { dim: [1, 3, 12, 12] }",
)
_LABELS = " layer { name: 'labels' type: 'Input' top: 'label' input_param { shape { dim: [1] } } }"
_DATA = (
    "data_param { source: 'a' batch_size: 5 } transform_param { crop_size: 20 mirror: true scale: 0.5 mean_value: 3 }"
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
layers { name: "fc" type: RELU bottom: "fc" top: "fc" }
layers { name: "fc2" type: INNER_PRODUCT bottom: "fc" top: "fc2" inner_product_param { num_output: 3 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc2" bottom: "label" }
"""
_OLD_DEPLOY = """
name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 force_backward: false
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 3 } }
layers { name: "prob" type: SIGMOID bottom: "fc" top: "prob" }
"""
_TRAIN_ONLY = """
name: "training" state { phase: TRAIN }
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 8 } include { phase: TRAIN } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" exclude { phase: TEST } }
layer { name: "again" type: "Softmax" bottom: "fc" top: "prob" softmax_param { axis: 1 } }
"""
_LOGITS = """
name: "logits" input: "data" input: "label" input_shape { dim: [1, 3, 8, 8] } input_shape { dim: 1 }
layer { name: "more" type: "Input" top: "weights" input_param { shape: [{ dim: [1, 2] }] } }
layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" flatten_param { axis: 1 end_axis: -1 } }
layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc" inner_product_param { num_output: 3 } }
"""
_SOLVER = 'net: "train_val.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\nmax_iter: 450000\n'  # often given by mistake
