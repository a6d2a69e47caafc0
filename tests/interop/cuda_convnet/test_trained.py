"""A checkpoint's layers give the net and the numbers that were put into them, index by index."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest

from alexnet.arch.rows import Conv, Local, Weighted
from alexnet.arch.shapes import measure
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.checkpoint import Checkpoint
from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.interop.cuda_convnet.trained import trained_net

NET = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv
inputs=data
channels=3
filters=16
filterSize=5
padding=2
initW=0.1
partialSum=0
neuron=relu
gpu=0
[norm1]
type=cmrnorm
inputs=conv1
channels=16
size=5
[pool1]
type=pool
pool=max
inputs=norm1
channels=16
sizeX=3
stride=2
[nails]
type=nailbed
inputs=data
channels=3
stride=2
[conv2]
type=conv
inputs=nails,pool1
channels=3,16
filters=16,4
groups=1,4
filterSize=3,5
padding=1,2
stride=2,2
randSparse=0,1
filterChannels=3,8
initW=0.1,0.1
partialSum=0
neuron=relu
[local3]
type=local
inputs=conv2
channels=16
filters=4
filterSize=3
padding=1
initW=0.1
[drop]
type=hs
inputs=local3
keep=0.5
[fc]
type=fc
inputs=drop,pool1
outputs=10
initW=0.1,0.1
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""
NORMS = "[norm1]\nscale=0.001\npow=0.75\nminDiv=2\n"


@pytest.fixture
def definition() -> Definition:
    return define(
        parse_sections(NET, "net.cfg"), parse_sections(NORMS, "p.cfg"), name="net", source="test", input_size=16
    )


def conv_2012(weight: np.ndarray) -> np.ndarray:
    """(F, C, k, k) to (C k k, F), one number after the other."""
    filters, channels, size, _ = weight.shape
    found = np.zeros((channels * size**2, filters), np.float32)
    for f, c, y, x in product(range(filters), range(channels), range(size), range(size)):
        found[c * size**2 + y * size + x, f] = weight[f, c, y, x]
    return found


def local_2012(weight: np.ndarray) -> np.ndarray:
    """(positions, F, C, k, k) to (positions C k k, F)."""
    return np.concatenate([conv_2012(filters) for filters in weight])


def checkpoint_of(definition: Definition, tensors: Mapping[str, np.ndarray]) -> Checkpoint:
    """The layers as the 2012 code kept them."""
    layers: dict[str, dict[str, Any]] = {}
    for name, section in definition.sections.items():
        kind, inputs = section.text("type"), list(section.items("inputs"))
        layer: dict[str, Any] = {"name": name, "type": kind, "inputs": inputs}
        for key, value in section.values.items():
            if key in ("type", "inputs", "neuron", "padding", "filters", "pool", "partialsum"):
                continue
            numbers = [float(item) if "." in item else int(item) for item in value.text.split(",")]
            key = {"filtersize": "filterSize", "sizex": "sizeX", "dataidx": "dataIdx", "randsparse": "randSparse"}.get(
                key, {"filterchannels": "filterChannels"}.get(key, key)
            )
            layer[key] = numbers if kind in ("conv", "local") else numbers[0]
        if kind in ("conv", "local"):
            groups = [int(item) for item in section.items("groups") or ["1"] * len(inputs)]
            layer["padding"] = [-int(item) for item in section.items("padding")]
            layer["filters"] = [int(item) * by for item, by in zip(section.items("filters"), groups, strict=True)]
        if kind == "pool":
            layer["pool"] = section.text("pool")
        if kind == "cmrnorm":
            layer |= {"scale": 0.001 / 5, "pow": 0.75, "minDiv": 2.0}
        if "neuron" in section:  # a layer of its own, which others read
            layers[f"{name}_neuron"] = {"type": "neuron", "inputs": [name], "neuron": {"type": section.text("neuron")}}
        layers[name] = layer
    layers["data"]["outputs"] = 3 * 16 * 16
    rewired = {name: f"{name}_neuron" for name in list(layers) if f"{name}_neuron" in layers}
    for name, layer in layers.items():
        if not name.endswith("_neuron"):
            layer["inputs"] = [rewired.get(each, each) for each in layer["inputs"]]
    _put_arrays(definition, tensors, layers)
    return Checkpoint(layers=dict(reversed(layers.items())), epoch=1, batch=1)


def _put_arrays(definition: Definition, tensors: Mapping[str, np.ndarray], layers: dict[str, dict[str, Any]]) -> None:
    rows = {shape.row.name: shape.row for shape in measure(definition.spec)}
    for name, banks in definition.banks.items():
        weight, start = tensors[f"{name}.weight"], 0
        for bank in banks:
            part = weight if len(banks) == 1 else weight[:, start : start + bank.inputs]
            start += bank.inputs
            row = rows[name]
            as_2012 = (
                conv_2012(part) if isinstance(row, Conv) else local_2012(part) if isinstance(row, Local) else part.T
            )
            layers[bank.layer].setdefault("weights", []).append(as_2012)
        if f"{name}.bias" in tensors:
            bias = tensors[f"{name}.bias"]
            layers[banks[0].layer]["biases"] = bias.reshape(1, -1) if bias.ndim == 1 else bias.reshape(-1, 1)
    layers["conv2"]["filterConns"] = [None, np.array(definition.spec["conv2_of_pool1_select"].channels)]


@pytest.fixture
def tensors(definition: Definition) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        f"{shape.row.name}.{part}": rng.normal(size=size).astype(np.float32)
        for shape in measure(definition.spec)
        if isinstance(shape.row, Weighted)
        for part, size in (("weight", shape.weight), ("bias", shape.bias))
        if size
    }


def test_the_definition_has_every_shape_of_layer(definition: Definition) -> None:
    kinds = [row.kind for row in definition.spec.rows]
    assert kinds.count("sum") == 2  # conv2, whose inputs have filters of their own, and fc, whose inputs differ in size
    assert {"select", "subsample", "local"} <= set(kinds)


def test_net_and_numbers_come_back(definition: Definition, tensors: dict[str, np.ndarray]) -> None:
    found = trained_net(checkpoint_of(definition, tensors), name="net", source="test")
    assert found.tensors.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(found.tensors[key], tensor, err_msg=key)
    ours = {(row.kind, str({**vars(row), "weight_std": None, "bias_init": None})) for row in definition.spec.rows}
    theirs = {
        (row.kind, str({**vars(row), "weight_std": None, "bias_init": None})) for row in found.definition.spec.rows
    }
    assert ours == theirs
    assert found.increments == {}


@pytest.mark.parametrize("broken", ["inputs", "weights", "shape", "circle", "missing"])
def test_layers_that_cannot_be_are_refused(definition: Definition, tensors: dict[str, np.ndarray], broken: str) -> None:
    checkpoint = checkpoint_of(definition, tensors)
    layers: Any = checkpoint.layers
    if broken == "inputs":
        layers["fc"]["inputs"] = [3]
    elif broken == "weights":
        layers["fc"]["weights"] = None
    elif broken == "shape":
        layers["conv1"]["weights"] = [np.zeros((7, 16), np.float32)]
    elif broken == "circle":
        layers["conv1"]["inputs"] = ["fc"]
    else:
        del layers["pool1"]
    with pytest.raises(InputError):
        trained_net(checkpoint, name="net", source="test")
