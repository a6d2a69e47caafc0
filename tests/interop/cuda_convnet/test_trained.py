"""A checkpoint's layers give the net and the numbers that were put into them, index by index."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest

from alexnet.arch.rows import Conv, Dropout, Local, Lrn, MaxPool, RandomPool, Sum, Weighted
from alexnet.arch.shapes import measure
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.checkpoint import Checkpoint
from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.interop.cuda_convnet.trained import Trained, trained_net

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
TWO_INPUTS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[norm1]
type=rnorm
inputs=data
channels=3
size=5
[local2]
type=local
inputs=data,norm1
channels=3,3
filters=4,4
filterSize=3,3
initW=0.1,0.1
initB=0.5
[conv2]
type=conv
inputs=data,norm1
channels=3,3
filters=16,16
filterSize=3,3
initW=0.1,0.1
neuron=logistic
[fc]
type=fc
inputs=local2,conv2
outputs=10
initW=0.1,0.2
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""
SPELLED = {
    key.lower(): key for key in ("filterSize", "sizeX", "dataIdx", "randSparse", "filterChannels", "initW", "initB")
}
NORMS = "[norm1]\nscale=0.001\npow=0.75\nminDiv=2\n[drop]\nenable=1\n"


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
            is_list = kind in ("conv", "local") or key == "initw"
            layer[SPELLED.get(key, key)] = numbers if is_list else numbers[0]
        if kind in ("conv", "local"):
            groups = [int(item) for item in section.items("groups") or ["1"] * len(inputs)]
            layer["padding"] = [-pixels for pixels in section.wholes("padding", len(inputs), 0)]
            layer["filters"] = [int(item) * by for item, by in zip(section.items("filters"), groups, strict=True)]
        if kind == "pool":
            layer["pool"] = section.text("pool")
        if kind == "hs":
            layer["enable"] = True
        if kind == "cmrnorm":
            layer |= {"scale": 0.001 / 5, "pow": 0.75, "minDiv": 2.0}
        if kind == "rnorm":
            layer |= {"scale": 0.001 / 25, "pow": 0.75}
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
        weight, start, row = tensors[f"{name}.weight"], 0, rows[name]
        for bank in banks:
            inputs = range(start, start + bank.inputs)
            part = weight if len(banks) == 1 else weight.take(inputs, axis=2 if isinstance(row, Local) else 1)
            start += bank.inputs
            as_2012 = (
                conv_2012(part) if isinstance(row, Conv) else local_2012(part) if isinstance(row, Local) else part.T
            )
            layers[bank.layer].setdefault("weights", []).append(as_2012)
        if f"{name}.bias" in tensors:
            bias = tensors[f"{name}.bias"]
            layers[banks[0].layer]["biases"] = bias.reshape(1, -1) if bias.ndim == 1 else bias.reshape(-1, 1)
    if "conv2_of_pool1_select" in definition.spec:
        layers["conv2"]["filterConns"] = [None, list(definition.spec["conv2_of_pool1_select"].channels)]


def random_tensors(definition: Definition) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        f"{shape.row.name}.{part}": rng.normal(size=size).astype(np.float32)
        for shape in measure(definition.spec)
        if isinstance(shape.row, Weighted)
        for part, size in (("weight", shape.weight), ("bias", shape.bias))
        if size
    }


@pytest.fixture
def layers(definition: Definition) -> dict[str, dict[str, Any]]:
    """Those of a checkpoint, to be changed."""
    return dict(checkpoint_of(definition, random_tensors(definition)).layers)  # type: ignore[arg-type]


def net_of(layers: Mapping[str, Any]) -> Trained:
    return trained_net(Checkpoint(layers=layers, epoch=91, batch=2), name="net", source="test")


def refusal(layers: Mapping[str, Any]) -> str:
    with pytest.raises(InputError) as raised:
        net_of(layers)
    assert "\n" not in str(raised.value)
    assert "line" not in str(raised.value)
    return str(raised.value)


def test_the_definition_has_every_shape_of_layer(definition: Definition) -> None:
    kinds = [row.kind for row in definition.spec.rows]
    assert kinds.count("sum") == 2  # conv2, whose inputs have filters of their own, and fc, whose inputs differ in size
    assert {"select", "subsample", "local"} <= set(kinds)


@pytest.mark.parametrize(("text", "norms"), [(NET, NORMS), (TWO_INPUTS, "")], ids=["every layer", "two inputs"])
def test_net_and_numbers_come_back(text: str, norms: str) -> None:
    definition = define(
        parse_sections(text, "net.cfg"), parse_sections(norms, "p.cfg"), name="net", source="test", input_size=16
    )
    tensors = random_tensors(definition)
    found = trained_net(checkpoint_of(definition, tensors), name="net", source="test")
    assert found.tensors.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(found.tensors[key], tensor, err_msg=key)
    ours = {(row.kind, str(vars(row))) for row in definition.spec.rows}
    assert ours == {(row.kind, str(vars(row))) for row in found.definition.spec.rows}


def test_what_else_a_run_left_is_named(layers: dict[str, dict[str, Any]]) -> None:
    assert net_of(layers).left_out == ("epoch 91", "batch 2")
    layers["fc"] |= {"weightsInc": [], "epsW": [0.01, 0.01]}
    assert net_of(layers).left_out == ("epoch 91", "batch 2", "increments", "rates")


@pytest.mark.parametrize(
    ("layer", "key", "value", "words"),
    [
        ("fc", "inputs", [3], "layer fc, inputs: reads 3, which the checkpoint has not"),
        ("fc", "inputs", [["pool1"] * 2] * 2, "layer fc, inputs: is neither a number nor a word"),
        ("fc", "outputs", 1 << 10_000, "layer fc, outputs: is neither a number nor a word"),
        ("fc", "initW", [0.1] * 100_000, "layer fc, initW: is neither a number nor a word"),
        ("fc", "neuron", "two\nlines", "layer fc, neuron: is neither a number nor a word"),
        ("fc", "neuron", {"type": "tanh", "params": {"a": 1}}, "layer fc, neuron: 'tanh' is in no released file"),
        ("conv1", "type", None, "layer conv1: needs type"),
        ("conv1", "inputs", ["fc"], "layers that read each other in a circle: "),
        ("conv1", "filters", [32], "layer norm1, channels: 16 for conv1_neuron, which has 32"),
        ("local3", "filters", [8], "layer local3, weights: 3600 x 4 for conv2_neuron, where 3600 x 8 belong"),
        ("conv2", "filters", [16, 17], "layer conv2, filters: 16,17 are not equally many in 1,4 groups"),
        ("conv1", "padding", [2], "layer conv1, padding: -2 is too small"),
        ("conv1", "sharedBiases", False, "layer conv1, sharedBiases: biases of their own at every position"),
        ("conv1", "weightSource", ["conv2"], "layer conv1, weightSource: shared weights are in no released file"),
        ("conv2", "filterConns", None, "layer conv2, filterConns: no list of channels for pool1"),
        ("conv2", "filterConns", [None, ["a"] * 32], "layer conv2, filterConns: no list of channels for pool1"),
        ("conv2", "filterConns", [None, [99] * 32], "selects channels that its 16 inputs have not"),
        ("pool1", "start", -1, "layer pool1, start: windows that begin elsewhere are in no released file"),
        ("pool1", "outputsX", 9, "layer pool1, outputsX: 9, where windows that cover the image are 8"),
        ("norm1", "blocked", True, "layer norm1, blocked: windows that do not overlap are in no released file"),
        ("norm1", "size", None, "layer norm1: needs size"),
        ("norm1", "scale", None, "layer norm1: needs scale"),
        ("norm1", "scale", float("nan"), "layer norm1, scale: nan is not a number"),
        ("data", "outputs", 770, "layer data, outputs: 770 values are no square image of three colours"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_layer_and_key(
    layers: dict[str, dict[str, Any]], layer: str, key: str, value: Any, words: str
) -> None:
    layers[layer][key] = value
    assert words in refusal(layers)


def test_a_layer_that_is_missing_is_named(layers: dict[str, dict[str, Any]]) -> None:
    del layers["pool1"]
    assert refusal(layers) == "layer conv2, inputs: reads pool1, which the checkpoint has not"


@pytest.mark.parametrize("name", ["conv1", "conv2", "local3", "fc"])
def test_arrays_must_lie_as_in_2012(layers: dict[str, dict[str, Any]], name: str) -> None:
    """As many numbers in another shape would be another net's."""
    layer = layers[name]
    weights, biases = layer["weights"], layer["biases"]
    for changed in (weights[-1].T, weights[-1].reshape(1, -1), weights[-1].ravel(), weights[-1][1:], None, "words"):
        layer["weights"] = [*weights[:-1], changed]
        assert refusal(layers).startswith(f"layer {name}, weights: ")
    for missing in (weights[:-1], None, weights[-1]):
        layer["weights"] = missing
        assert refusal(layers).startswith(f"layer {name}, weights: no array of numbers for ")
    layer["weights"] = weights
    for changed in (biases.ravel(), biases.reshape(2, -1), biases.ravel()[1:].reshape(-1, 1), None):
        layer["biases"] = changed
        assert refusal(layers).startswith(f"layer {name}, biases: ")
    for either in (biases.reshape(-1, 1), biases.reshape(1, -1)):
        layer["biases"] = either
        net_of(layers)


def test_the_error_says_which_shape_belongs(layers: dict[str, dict[str, Any]]) -> None:
    layers["fc"]["weights"][0] = layers["fc"]["weights"][0].T
    assert refusal(layers) == "layer fc, weights: 10 x 100 for drop, where 100 x 10 belong"


def test_what_stood_in_the_parameter_file_counts(layers: dict[str, dict[str, Any]]) -> None:
    """As it does where the files are read: doMax makes a random pool one of maxima, and enable=0 stops dropout."""
    layers["pool1"]["pool"] = "rand"
    assert isinstance(net_of(layers).definition.spec["pool1"], RandomPool)
    layers["pool1"]["doMax"] = np.bool_(True)
    assert isinstance(net_of(layers).definition.spec["pool1"], MaxPool)
    layers["drop"]["enable"] = True
    assert isinstance(net_of(layers).definition.spec["drop"], Dropout)
    layers["drop"]["enable"] = False
    assert isinstance(net_of(layers).definition.spec["drop"], Sum)


@pytest.mark.parametrize("size", [3, 5, 7, 9])
@pytest.mark.parametrize("scale", [1e-4, 5e-5, 1e-3, 0.3])
def test_the_scale_of_a_norm_comes_back_as_it_was_written(
    layers: dict[str, dict[str, Any]], size: int, scale: float
) -> None:
    layers["norm1"] |= {"size": size, "scale": scale / size}
    norm = net_of(layers).definition.spec["norm1"]
    assert isinstance(norm, Lrn)
    assert (norm.size, norm.alpha) == (size, scale)
