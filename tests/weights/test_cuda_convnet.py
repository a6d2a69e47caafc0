"""Checkpoints of cuda-convnet as weights: two towers in a file, one net in memory, the same answers."""

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.convert import convert
from alexnet.errors import WeightsError
from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.nn import build
from alexnet.nn.build import assemble
from alexnet.weights import find_weights
from alexnet.weights.catalog import find_header

DATA = "[data]\ntype=data\ndataIdx=0\n[labels]\ntype=data\ndataIdx=1\n"
END = "[probs]\ntype=softmax\ninputs=fc\n[cost]\ntype=cost.logreg\ninputs=labels,probs\n"
TOWER = """
[conv1{t}]
type=conv
inputs=data
channels=3
filters=16
filterSize=5
padding=2
initW=0.1
partialSum=0
gpu={gpu}
[pool1{t}]
type=pool
pool=max
inputs=conv1{t}
channels=16
sizeX=3
stride=2
[conv2{t}]
type=conv
inputs=pool1{t}
channels=16
filters=16
filterSize=3
padding=1
initW=0.1
partialSum=0
"""
TWO_TOWERS = (
    DATA
    + TOWER.format(t="a", gpu=0)
    + TOWER.format(t="b", gpu=1)
    + "[densea]\ntype=fc\ninputs=conv2a,conv2b\noutputs=8\ninitW=0.1,0.1\n"
    + "[denseb]\ntype=fc\ninputs=conv2b,conv2a\noutputs=8\ninitW=0.1,0.1\n"
    + "[fc]\ntype=fc\ninputs=densea,denseb\noutputs=10\ninitW=0.1,0.1\n"
    + END
)
NUMBERS = {"filtersize": "filterSize", "sizex": "sizeX", "dataidx": "dataIdx", "partialsum": "partialSum"}


@pytest.fixture
def definition() -> Definition:
    return define(parse_sections(TWO_TOWERS, "net.cfg"), {}, name="net", source="test", input_size=16)


@pytest.fixture
def content(definition: Definition) -> tuple[bytes, torch.nn.Module]:
    """A checkpoint's pickle, and the net in two towers whose numbers it has."""
    net = build(definition.spec, seed=0).eval()
    tensors = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
    layers = {name: layer_of(name, definition, tensors) for name in definition.sections}
    layers["data"]["outputs"] = 3 * 16 * 16
    return pickle.dumps({"model_state": {"layers": layers, "epoch": 1, "batchnum": 1}, "op": None}, 2), net


def layer_of(name: str, definition: Definition, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    section = definition.sections[name]
    kind, inputs = section.text("type"), list(section.items("inputs"))
    layer: dict[str, Any] = {"type": kind, "inputs": inputs}
    for key, value in section.values.items():
        if key in NUMBERS or key in ("channels", "filters", "stride", "outputs", "gpu"):
            layer[NUMBERS.get(key, key)] = [int(value.text)] if kind == "conv" else int(value.text)
    if kind == "pool":
        layer["pool"] = "max"
    if kind == "conv":
        layer["padding"] = [-section.whole("padding")]
        weight = tensors[f"{name}.weight"]
        layer["weights"] = [weight.transpose(1, 2, 3, 0).reshape(-1, len(weight))]
    elif kind == "fc":
        parts = np.split(tensors[f"{name}.weight"], len(inputs), axis=1)
        layer["weights"] = [np.asfortranarray(part.T) for part in parts]
    if kind in ("conv", "fc"):
        layer["biases"] = tensors[f"{name}.bias"].reshape(-1, 1)
        layer["weightsInc"], layer["biasesInc"] = layer["weights"], layer["biases"]
    return layer


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", "what stands first tells nothing")
        archive.writestr("data", content)
    return file.getvalue()


def by_places(content: bytes) -> bytes:
    """As before 2012: a list, whose layers read each other by their places in it."""
    whole = pickle.loads(content)
    layers = whole["model_state"]["layers"]
    places = {name: place for place, name in enumerate(layers)}
    whole["model_state"]["layers"] = [
        layer | {"name": name, "inputs": [places[read] for read in layer["inputs"]]} for name, layer in layers.items()
    ]
    return pickle.dumps(whole, 2)


def in_protocol(protocol: int) -> Callable[[bytes], bytes]:
    return lambda content: pickle.dumps(pickle.loads(content), protocol)


@pytest.mark.parametrize(
    "packed",
    [bytes, gzip.compress, zipped, by_places, in_protocol(0), in_protocol(1)],
    ids=["plain", "gzip", "zip", "list", "protocol 0", "protocol 1"],
)
def test_a_checkpoint_gives_one_net_with_the_answers_of_its_towers(
    content: tuple[bytes, torch.nn.Module], packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "91.1"
    path.write_bytes(packed(content[0]))
    weights = find_weights(path)
    assert [row.name for row in weights.spec.rows] == ["conv1", "pool1", "conv2", "dense", "fc", "probs"]
    assert find_header(path).spec == weights.spec
    images = torch.randn(4, 3, 16, 16)
    net = assemble(weights.spec, {key: torch.from_numpy(tensor) for key, tensor in weights.tensors.items()}).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(images), content[1](images))


def test_a_damaged_checkpoint_is_one_line(content: tuple[bytes, torch.nn.Module], tmp_path: Path) -> None:
    path = tmp_path / "91.1"
    path.write_bytes(content[0][:-5])
    with pytest.raises(WeightsError, match=r"91\.1: not a whole pickle") as raised:
        find_weights(path)
    assert "\n" not in str(raised.value)


def test_what_is_not_carried_on_is_said_to_be_dropped(content: tuple[bytes, torch.nn.Module], tmp_path: Path) -> None:
    (tmp_path / "91.1").write_bytes(content[0])
    done = convert(tmp_path / "91.1", tmp_path / "net.safetensors")
    assert done.dropped == ("epoch 1", "batch 1", "increments")
    assert "conv1.weight" in done.mapped
    assert done.largest_difference == 0


def test_a_setting_that_is_not_read_is_one_line(definition: Definition, tmp_path: Path) -> None:
    net = build(definition.spec, seed=0)
    tensors = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
    layers = {name: layer_of(name, definition, tensors) for name in definition.sections}
    layers["pool1a"]["start"] = 1
    path = tmp_path / "91.1"
    path.write_bytes(pickle.dumps({"model_state": {"layers": layers}}, 2))
    for read in (find_weights, find_header):
        with pytest.raises(WeightsError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: layer pool1a, start: windows that begin elsewhere")
