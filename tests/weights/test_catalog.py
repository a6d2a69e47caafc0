from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fuzz.caffe_seeds import caffe_net

from alexnet.errors import WeightsError
from alexnet.weights import Weights, find_weights, save_weights
from alexnet.weights.catalog import sniff


def test_a_run_folder_gives_its_best_else_its_last(tmp_path: Path, tiny_weights: Weights) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(WeightsError, match="no weights yet"):
        find_weights(tmp_path)
    save_weights(tmp_path / "last.safetensors", replace(tiny_weights, recipe={"which": "last"}))
    assert find_weights(tmp_path).recipe == {"which": "last"}
    save_weights(tmp_path / "best.safetensors", replace(tiny_weights, recipe={"which": "best"}))
    assert find_weights(str(tmp_path)).recipe == {"which": "best"}


def test_a_file_is_known_by_its_content_not_its_suffix(tmp_path: Path, tiny_weights: Weights) -> None:
    save_weights(tmp_path / "w.pth", tiny_weights)
    assert find_weights(tmp_path / "w.pth").spec == tiny_weights.spec


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"just words, no weights", "not a file of weights"),
        (b"PK\x03\x04 and so on", "not a zip archive, or a damaged one"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "PyTorch before 1.6, save it again"),
        (b"\x80\x02}q\x00", "not a whole pickle"),
        (b"(dp0\nS'model_state'\n", "not a whole pickle"),
        (b"}q\x00.", "a pickle, but no checkpoint of cuda-convnet"),
        (b"\x08\x07\x12\x07pytorch", "not a whole ONNX file"),
        (b"\x0a\x07AlexNet", "not a whole Caffe net"),
        (b"\xff" * 40, "not a file of weights"),
    ],
)
def test_other_files_are_named_and_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        find_weights(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_weights_may_be_is_said_when_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"no weights at 'nothing': give a run folder.*, a name .*caffenet.*, or hf:OWNER/NAME"
    ) as caught:
        find_weights("nothing")
    assert "\n" not in str(caught.value)
    with pytest.raises(WeightsError, match=r"a folder without run\.json"):
        find_weights(tmp_path)


@pytest.mark.parametrize(("name", "near"), [("torch-vision", "torchvision"), ("CaffeNet", "caffenet or caffe")])
def test_of_an_unknown_name_the_nearest_are_offered(name: str, near: str) -> None:
    with pytest.raises(WeightsError, match=rf"no weights at '{name}': did you mean {near}\? Else give a run folder"):
        find_weights(name)


def test_a_folder_of_data_called_like_weights_is_not_taken_for_them(tmp_path: Path, monkeypatch) -> None:
    """The published data set unpacks to a folder of the name that the shipped weights have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny-imagenet-200" / "train").mkdir(parents=True)
    assert find_weights("tiny-imagenet-200").spec.num_classes == 200


@pytest.mark.parametrize("v1", [False, True])
def test_a_caffemodel_without_a_name_is_one(v1: bool, tmp_path: Path) -> None:
    array = np.zeros((1, 1), np.float32)
    (tmp_path / "net").write_bytes(caffe_net({"fc.weight": array, "fc.bias": array[0]}, "", v1))
    assert sniff(tmp_path / "net") == "caffemodel"
