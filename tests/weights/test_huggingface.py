import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.splits import ClassInfo
from alexnet.errors import InputError, WeightsError
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, find_weights
from alexnet.weights.huggingface import config, save_huggingface
from alexnet.weights.listing import list_weights


def test_the_folder_holds_three_files_and_gives_the_weights_back(tmp_path: Path, probed_weights: Weights) -> None:
    folder = tmp_path / "mine"
    save_huggingface(folder, probed_weights)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    found = find_weights(folder)
    assert (found.spec, found.classes, found.probe) == (
        probed_weights.spec,
        probed_weights.classes,
        probed_weights.probe,
    )
    np.testing.assert_array_equal(found.tensors["fc4.weight"], probed_weights.tensors["fc4.weight"])
    assert json.loads((folder / "config.json").read_text()) == config(probed_weights)
    [entry] = list_weights([folder])
    assert (entry.name, entry.state, entry.net, entry.classes) == (str(folder), "file", "tiny", 6)
    assert list_weights([tmp_path]) == [entry]


def test_labels_have_numbers_and_the_first_of_two_alike_wins(tiny_weights: Weights) -> None:
    classes = tuple(ClassInfo(index, name) for index, name in enumerate(("crane", "b", "crane", "d", "e", "f")))
    found = config(replace(tiny_weights, classes=classes))
    assert found["id2label"] == {"0": "crane", "1": "b", "2": "crane", "3": "d", "4": "e", "5": "f"}
    assert found["label2id"] == {"crane": 0, "b": 1, "d": 3, "e": 4, "f": 5}
    assert (found["architecture"], found["num_classes"]) == ("tiny", 6)


def test_timms_words_are_said_where_they_are_true(tiny_weights: Weights) -> None:
    scaled = Preprocessing(resize=16, crop=12, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    found = config(replace(tiny_weights, preprocessing=scaled, licence="BSD-3-Clause"))["pretrained_cfg"]
    assert found == {
        "input_size": [3, 12, 12],
        "fixed_input_size": True,
        "interpolation": "bilinear",
        "crop_pct": 0.75,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 6,
        "first_conv": "conv1",
        "classifier": "fc4",
        "license": "bsd-3-clause",
    }
    plain = config(replace(tiny_weights, preprocessing=Preprocessing(resize=(16, 16), crop=12, mean=(51, 102, 0))))
    cfg = plain["pretrained_cfg"]
    assert (cfg["crop_mode"], cfg["mean"]) == ("squash", [0.2, 0.4, 0.0])
    np.testing.assert_allclose(cfg["std"], 1 / 255, atol=1e-9)


@pytest.mark.parametrize(
    ("preprocessing", "untrue"),
    [
        (Preprocessing(resize=16, crop=12, channel_order="BGR"), {"mean", "std"}),
        (Preprocessing(resize=16, crop=12, mean_image=np.zeros((3, 16, 16), np.float32)), {"mean", "std"}),
        (Preprocessing(resize=(16, 20), crop=12), {"crop_pct", "crop_mode", "interpolation"}),
        (Preprocessing(resize=16, crop=12, reduce_to=8), {"crop_pct", "crop_mode", "interpolation"}),
    ],
)
def test_where_they_are_not_they_are_left_out(tiny_weights: Weights, preprocessing: Preprocessing, untrue) -> None:
    all_words = {"mean", "std", "crop_pct", "crop_mode", "interpolation"}
    found = config(replace(tiny_weights, preprocessing=preprocessing))
    assert all_words - found["pretrained_cfg"].keys() == untrue
    assert found["preprocessing"] == preprocessing.to_json()


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, tiny_weights: Weights) -> None:
    spoiled = dict(tiny_weights.tensors) | {"fc4.bias": np.full(6, np.nan, np.float32)}
    with pytest.raises(WeightsError, match="NaN"):
        save_huggingface(tmp_path / "mine", replace(tiny_weights, tensors=spoiled))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="mine is there already"):
        save_huggingface(tmp_path / "mine", tiny_weights)


def test_a_folder_of_another_program_is_one_line(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        WeightsError, match=r"a folder without run\.json; give a run folder .*, a folder with model\.saf"
    ):
        find_weights(tmp_path)
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.safetensors: a safetensors file of another program") as caught:
        find_weights(tmp_path)
    assert "\n" not in str(caught.value)
