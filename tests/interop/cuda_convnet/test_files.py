"""The nets of the 2012 release whose numbers of parameters are known, rebuilt from what is known of their layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alexnet.arch.shapes import total_params
from alexnet.interop.cuda_convnet.files import in_one, read_definition


@dataclass(frozen=True, kw_only=True)
class Released:
    """Widths are of one tower. low_res: conv2 reads a blurred small image too. talk3: how many towers conv3 reads, and
    talk6, the layers from fc6 on. fc: outputs a tower of the hidden layers, each with its neuron or without. classes:
    one layer of them, or several that are stacked.
    """

    towers: int = 2
    conv: Sequence[int] = (48, 128, 192, 192, 128)
    conv6: bool = False
    low_res: bool = False
    talk3: int = 2
    talk6: bool = True
    fc: Sequence[int] = (2048, 2048)
    last_is_linear: bool = False
    classes: Sequence[int] = (1000,)


@dataclass
class _File:
    sections: list[str] = field(default_factory=list)

    def add(self, name: str, kind: str, **keys: Any) -> str:
        lines = [f"[{name}]", f"type={kind}", *(f"{key}={value}" for key, value in keys.items())]
        self.sections.append("\n".join(lines) + "\n")
        return name


def definition(net: Released) -> str:
    """The text of its definition file."""
    file = _File()
    file.add("data", "data", dataIdx=0)
    file.add("labels", "data", dataIdx=1)
    if net.low_res:
        file.add("blur0", "blur", inputs="data", channels=3, filterSize=9, stdev=4)
        file.add("nails0", "nailbed", inputs="blur0", channels=3, stride=4)
    maps = [_trunk_to_pool2(file, net, tower) for tower in range(net.towers)]
    maps = [_trunk_to_pool3(file, net, tower, maps) for tower in range(net.towers)]
    if net.conv6:
        maps = [_conv(file, f"conv6{_end(tower)}", maps, net.conv[4], 3, net.conv[4]) for tower in range(net.towers)]
    for depth, outputs in enumerate(net.fc):
        keys = {} if net.last_is_linear and depth + 1 == len(net.fc) else {"neuron": "relu"}
        maps = [
            _fc(
                file,
                f"fc{outputs}_{depth}{_end(tower)}",
                maps if net.talk6 else maps[tower : tower + 1],
                outputs,
                **keys,
            )
            for tower in range(net.towers)
        ]
    answers = [_fc(file, f"answers{place}", maps, outputs) for place, outputs in enumerate(net.classes)]
    last = answers[0] if len(answers) == 1 else file.add("answers", "concat", inputs=",".join(answers))
    file.add("probs", "softmax", inputs=last)
    file.add("logprob", "cost.logreg", inputs="labels,probs")
    return "\n".join(file.sections)


def _trunk_to_pool2(file: _File, net: Released, tower: int) -> str:
    end, (first, second, *_) = _end(tower), net.conv
    name = _conv(file, f"conv1{end}", ["data"], 3, 11, first, stride=4, padding=0)
    name = _pool(file, f"pool1{end}", name, first)
    if net.low_res:
        name = file.add(
            f"conv2{end}", "conv", inputs=f"nails0,{name}", channels=f"3,{first}", filters=f"{second},{second}",
            padding="0,2", stride="2,1", filterSize="5,5", initW="0.01,0.01", neuron="relu", partialSum=1, gpu=tower,
        )  # fmt: skip
    else:
        name = _conv(file, f"conv2{end}", [name], first, 5, second)
    return _pool(file, f"pool2{end}", name, second)


def _trunk_to_pool3(file: _File, net: Released, tower: int, pooled: Sequence[str]) -> str:
    end, (_, second, third, fourth, fifth) = _end(tower), net.conv
    start = tower - tower % net.talk3
    name = _conv(file, f"conv3{end}", pooled[start : start + net.talk3], second, 3, third)
    name = _conv(file, f"conv4{end}", [name], third, 3, fourth)
    name = _conv(file, f"conv5{end}", [name], fourth, 3, fifth)
    return _pool(file, f"pool3{end}", name, fifth)


def _conv(
    file: _File, name: str, inputs: Sequence[str], channels: int, size: int, filters: int, stride: int = 1,
    padding: int | None = None,
) -> str:  # fmt: skip
    padding = size // 2 if padding is None else padding
    keys = {"channels": channels, "filters": filters, "filterSize": size, "stride": stride, "padding": padding}
    lists = {key: ",".join([str(value)] * len(inputs)) for key, value in (keys | {"initW": 0.01}).items()}
    return file.add(name, "conv", inputs=",".join(inputs), neuron="relu", partialSum=1, gpu=ord(name[-1]) - 97, **lists)


def _pool(file: _File, name: str, read: str, channels: int) -> str:
    return file.add(name, "pool", pool="max", inputs=read, channels=channels, sizeX=3, stride=2, start=0, outputsX=0)


def _fc(file: _File, name: str, inputs: Sequence[str], outputs: int, **keys: Any) -> str:
    stds = ",".join(["0.01"] * len(inputs))
    return file.add(name, "fc", inputs=",".join(inputs), outputs=outputs, initW=stds, **keys)


def _end(tower: int) -> str:
    return "abcd"[tower]


LOW_RES = {"conv": (32, 128, 192, 192, 128), "low_res": True}
FALL_2009 = (10_184,)

# Number of the file, what is known of it, and its parameters (facts, section 2.3).
NETS = {
    "145": (Released(), 60_965_224),
    "145-half": (Released(towers=1, conv=(48, 128, 192, 192, 256), talk3=1, fc=(4096, 4096)), 59_798_312),
    "150": (Released(conv=(48, 160, 192, 192, 128), talk3=1, talk6=False, fc=(4096, 2048)), 60_714_408),
    "106, 110, 112, 118, 120, 131, 134, 135, 137": (Released(**LOW_RES), 60_870_376),
    "114": (Released(**LOW_RES, fc=(3072, 3072, 3072)), 140_523_240),
    "120-4gpu": (
        Released(towers=4, conv=(32, 64, 192, 192, 128), low_res=True, fc=(1024, 1024)),
        99_749_352,
    ),
    "141, 141-2009-2012": (Released(**LOW_RES, conv6=True), 61_460_456),
    "146-2009": (Released(conv6=True, classes=FALL_2009), 99_182_152),
    "146-2011": (
        Released(conv6=True, fc=(2048, 2048, 1024), last_is_linear=True, classes=(10_921, 10_922)),
        110_605_267,
    ),
    "146-2012-2009, 146-2012-2011": (Released(conv6=True), 61_555_304),
    "flickr-102, flickr-103, flickr-105": (Released(**LOW_RES, classes=(10_003,)), 97_755_667),
}


@pytest.mark.parametrize(("net", "parameters"), NETS.values(), ids=NETS)
def test_a_released_net_has_as_many_parameters_as_is_known(net: Released, parameters: int, tmp_path: Path) -> None:
    """As it is written, and in one piece where it has two equal towers."""
    (tmp_path / "layers.cfg").write_text(definition(net))
    spec = read_definition(tmp_path / "layers.cfg").spec
    assert total_params(spec) == parameters
    assert total_params(in_one(spec).spec) == parameters
