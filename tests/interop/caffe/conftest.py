"""Definitions of Caffe's two nets, written here layer by layer, in both syntaxes, to train and to deploy."""

from collections.abc import Callable
from textwrap import indent

import pytest

# (name, type, bottom, top, settings): what the two nets share; norms and pools are put between by `_front`.
Layers = list[tuple[str, str, str, str, str]]

OLD_TYPES = {
    "Convolution": "CONVOLUTION",
    "ReLU": "RELU",
    "LRN": "LRN",
    "Pooling": "POOLING",
    "InnerProduct": "INNER_PRODUCT",
    "Dropout": "DROPOUT",
    "Data": "DATA",
    "Accuracy": "ACCURACY",
    "SoftmaxWithLoss": "SOFTMAX_LOSS",
    "Softmax": "SOFTMAX",
}


def _weighted(kind: str, shape: str, std: float, bias: float, filled: bool) -> str:
    filler = f"weight_filler {{ type: 'gaussian' std: {std} }} bias_filler {{ type: 'constant' value: {bias} }}"
    return f"{kind} {{ {shape} {filler if filled else ''} }}"


def _net(order: str, bias: float, filled: bool) -> Layers:
    """order: `np` for norm then pool (AlexNet), `pn` for pool then norm (CaffeNet)."""
    layers: Layers = []

    def conv(number: int, bottom: str, shape: str, start: float) -> str:
        name = f"conv{number}"
        said = _weighted("convolution_param", shape, 0.01, start, filled)
        layers.extend([(name, "Convolution", bottom, name, said), (f"relu{number}", "ReLU", name, name, "")])
        return name

    def front(number: int, read: str) -> str:
        for what in order:
            name = f"{'norm' if what == 'n' else 'pool'}{number}"
            if what == "n":
                layers.append((name, "LRN", read, name, "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"))
            else:
                pool = "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"
                layers.append((name, "Pooling", read, name, pool))
            read = name
        return read

    def fc(number: int, bottom: str, outputs: int, std: float, start: float) -> str:
        name = f"fc{number}"
        said = _weighted("inner_product_param", f"num_output: {outputs}", std, start, filled)
        layers.append((name, "InnerProduct", bottom, name, said))
        return name

    read = front(1, conv(1, "data", "num_output: 96 kernel_size: 11 stride: 4", 0))
    read = front(2, conv(2, read, "num_output: 256 pad: 2 kernel_size: 5 group: 2", bias))
    read = conv(3, read, "num_output: 384 pad: 1 kernel_size: 3", 0)
    read = conv(4, read, "num_output: 384 pad: 1 kernel_size: 3 group: 2", bias)
    read = conv(5, read, "num_output: 256 pad: 1 kernel_size: 3 group: 2", bias)
    layers.append(("pool5", "Pooling", read, "pool5", "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"))
    read = "pool5"
    for number in (6, 7):
        read = fc(number, read, 4096, 0.005, bias)
        layers.append((f"relu{number}", "ReLU", read, read, ""))
        layers.append((f"drop{number}", "Dropout", read, read, "dropout_param { dropout_ratio: 0.5 }"))
    fc(8, read, 1000, 0.01, 0)
    return layers


def _layer(old: bool, name: str, kind: str, bottoms: list[str], tops: list[str], *said: str) -> str:
    head, a_type = ("layers", OLD_TYPES[kind]) if old else ("layer", f'"{kind}"')
    lines = [f'name: "{name}"', f"type: {a_type}", *(f'bottom: "{each}"' for each in bottoms)]
    lines += [*(f'top: "{each}"' for each in tops), *filter(None, said)]
    return f"{head} {{\n{indent(chr(10).join(lines), '  ')}\n}}\n"


def _rates(old: bool, kind: str) -> str:
    if kind not in ("Convolution", "InnerProduct"):
        return ""
    if old:
        return "blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0"
    return "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"


def _data(old: bool, phase: str, means: str) -> str:
    mirror = "true" if phase == "TRAIN" else "false"
    transform = f"crop_size: 227 mirror: {mirror} {means}"
    source = 'source: "somewhere" batch_size: 50 backend: LMDB'
    said = (
        [f"data_param {{ {source} {transform} }}"]
        if old and "mean_value" not in means
        else [f"data_param {{ {source} }}", f"transform_param {{ {transform} }}"]
    )
    return _layer(old, "data", "Data", [], ["data", "label"], *said, f"include {{ phase: {phase} }}")


@pytest.fixture
def written() -> Callable[..., str]:
    """The text of `caffe` or `caffenet`: `old` in the syntax until 2014, `use` deploy or train_val."""

    def write(net: str, *, old: bool, use: str, means: str = "mean_value: 104 mean_value: 117 mean_value: 123") -> str:
        training = use == "train_val"
        order, bias = ("np", 0.1) if net == "caffe" else ("pn", 1.0)
        text = f'name: "{net} of mine"  # a comment\n'
        if training:
            text += "".join(_data(old, phase, means) for phase in ("TRAIN", "TEST"))
        elif old:
            text += 'input: "data" input_dim: 10 input_dim: 3 input_dim: 227 input_dim: 227\n'
        else:
            shape = "input_param { shape { dim: 10 dim: 3 dim: 227 dim: 227 } }"
            text += _layer(False, "data", "Input", [], ["data"], shape)
        for name, kind, bottom, top, said in _net(order, bias, filled=training):
            text += _layer(old, name, kind, [bottom], [top], said, _rates(old, kind))
        if not training:
            return text + _layer(old, "prob", "Softmax", ["fc8"], ["prob"])
        text += _layer(old, "accuracy", "Accuracy", ["fc8", "label"], ["accuracy"], "include { phase: TEST }")
        return text + _layer(old, "loss", "SoftmaxWithLoss", ["fc8", "label"], ["loss"])

    return write
