import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest

from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.errors import WeightsError
from alexnet.export.openvino import save_openvino
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, find_weights
from alexnet.weights.catalog import find_header
from alexnet.weights.check import tensor_shapes
from alexnet.weights.openvino import read_openvino_weights


@pytest.fixture
def grouped() -> Weights:
    """Random weights of a net with groups, which the file holds as towers."""
    spec, rng = find("digits"), np.random.default_rng(0)
    return Weights(
        spec=spec,
        classes=unnamed_classes(10),
        preprocessing=Preprocessing(resize=16, crop=16, mean=(3.0, 4.0, 5.0)),
        tensors={key: rng.normal(0, 0.1, shape).astype(np.float32) for key, shape in tensor_shapes(spec).items()},
        probe={"logits": [0.5] * 10},
    )


@pytest.fixture
def path(tmp_path: Path, grouped: Weights) -> Path:
    save_openvino(tmp_path / "net.xml", grouped)
    return tmp_path / "net.xml"


def test_weights_come_back_as_they_went_without_openvino(
    path: Path, grouped: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = find_weights(path)
    assert (found.spec, found.classes, found.probe) == (grouped.spec, grouped.classes, grouped.probe)
    assert found.preprocessing == grouped.preprocessing
    assert found.tensors.keys() == grouped.tensors.keys()
    for key, tensor in grouped.tensors.items():
        np.testing.assert_array_equal(found.tensors[key], tensor)


def test_the_header_is_that_of_the_weights(path: Path, grouped: Weights) -> None:
    header = find_header(path)
    assert (header.spec, header.classes) == (grouped.spec, grouped.classes)


def test_the_file_of_tensors_is_missed(path: Path) -> None:
    path.with_suffix(".bin").unlink()
    with pytest.raises(WeightsError, match=r"net\.xml: its tensors are missing; put net\.bin beside it"):
        read_openvino_weights(path)


@pytest.mark.parametrize(
    ("suffix", "share", "words"),
    [(".xml", 0.5, "not a whole XML file"), (".bin", 0.5, r"net\.bin beside it is cut short"), (".bin", 0, "empty")],
)
def test_a_part_of_either_file_is_refused(path: Path, suffix: str, share: float, words: str) -> None:
    file = path.with_suffix(suffix)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=words) as caught:
        read_openvino_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_model_of_another_program_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace("<alexnet ", "<other "))
    with pytest.raises(WeightsError, match="an OpenVINO model of another program"):
        read_openvino_weights(path)


def test_a_tensor_of_another_net_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('name="fc5.bias"', 'name="fc6.bias"'))
    with pytest.raises(WeightsError, match=r"missing fc5\.bias"):
        read_openvino_weights(path)


def test_an_encoding_that_nobody_knows_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('version="1.0"?', 'version="1.0" encoding="rot13.5"?', 1))
    with pytest.raises(WeightsError, match="unknown encoding"):
        read_openvino_weights(path)


def test_two_files_of_different_models_are_refused(path: Path, grouped: Weights) -> None:
    """As a process leaves them that dies between moving the one and the other."""
    old = path.read_bytes()
    tensors = {**grouped.tensors, "fc5.bias": grouped.tensors["fc5.bias"] + 1}
    save_openvino(path, replace(grouped, tensors=tensors))
    assert find_weights(path).tensors["fc5.bias"][0] == tensors["fc5.bias"][0]
    path.write_bytes(old)
    for read in (read_openvino_weights, find_header):
        with pytest.raises(WeightsError, match=r"net\.bin beside it is another model's"):
            read(path)


def test_openvino_may_write_the_files_again(path: Path, grouped: Weights, tmp_path: Path) -> None:
    again = tmp_path / "again.xml"
    openvino.save_model(openvino.Core().read_model(path), again, compress_to_fp16=False)
    np.testing.assert_array_equal(find_weights(again).tensors["fc5.weight"], grouped.tensors["fc5.weight"])


def test_the_same_bytes_as_many_tensors_are_refused(path: Path) -> None:
    """Halves of a tensor are put together in memory: a small file could have any number of them."""
    data = '<data element_type="f32" offset="0" size="4000" shape="1000"/>'
    half = '<layer id="{0}" name="x{0}.tower{1}" type="Const">' + data + "</layer>"
    layers = "".join(half.format(number, tower) for number in range(1000) for tower in (0, 1))
    path.write_text(path.read_text().replace("<layers>", f"<layers>{layers}", 1))
    with pytest.raises(WeightsError, match=r"net.xml: net.bin beside it has fewer bytes than its tensors"):
        find_weights(path)
