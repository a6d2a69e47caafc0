import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from alexnet.errors import WeightsError
from alexnet.weights import Weights, read_weights, save_weights
from alexnet.weights.files import read_header

Change = Callable[[dict[str, np.ndarray], dict[str, Any]], None]


@pytest.fixture
def path(tmp_path: Path, tiny_weights: Weights) -> Path:
    save_weights(tmp_path / "w.safetensors", tiny_weights)
    return tmp_path / "w.safetensors"


def rewrite(path: Path, change: Change) -> None:
    """The file again with its tensors and its metadata as `change` left them."""
    with safe_open(path, framework="np") as file:
        metadata = json.loads(file.metadata()["alexnet"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, path, metadata={"alexnet": json.dumps(metadata)})


def test_weights_survive_a_round_trip(tmp_path: Path, tiny_weights: Weights) -> None:
    errors = ({"data": "x", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None},)
    written = replace(tiny_weights, recipe={"lr": 0.01}, errors=errors, probe={"logits": [1.0]})
    save_weights(tmp_path / "w", written)
    read = read_weights(tmp_path / "w")
    for name in ("spec", "classes", "preprocessing", "recipe", "errors", "probe"):
        assert getattr(read, name) == getattr(written, name)
    np.testing.assert_array_equal(read.preprocessing.mean_image, written.preprocessing.mean_image)
    assert read.tensors.keys() == written.tensors.keys()
    for key, tensor in written.tensors.items():
        np.testing.assert_array_equal(read.tensors[key], tensor)


def test_metadata_is_one_key_as_published(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        assert list(file.metadata()) == ["alexnet"]
        assert "preprocessing.mean_image" in file.keys()  # noqa: SIM118
        stored = json.loads(file.metadata()["alexnet"])
    assert list(stored) == ["format", "spec", "classes", "preprocessing", "recipe", "errors", "probe"]
    assert stored["classes"][0] == {"index": 0, "name": "red", "wnid": None}


def test_bad_weights_are_not_written(tmp_path: Path, tiny_weights: Weights) -> None:
    tiny_weights.tensors.pop("fc4.bias")
    with pytest.raises(WeightsError):
        save_weights(tmp_path / "w", tiny_weights)
    assert list(tmp_path.iterdir()) == []


def drop(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    del tensors["fc4.bias"]


def add(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    tensors["fc5.bias"] = np.zeros(3, np.float32)


def reshape(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    tensors["fc4.weight"] = np.ascontiguousarray(tensors["fc4.weight"].T)


def spoil(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    tensors["conv1.weight"][0, 0, 0, 0] = np.nan


def shrink_mean(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    tensors["preprocessing.mean_image"] = np.zeros((3, 4, 4), np.float32)


def lose_mean(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    del tensors["preprocessing.mean_image"]


def from_the_future(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    metadata["format"] = 2


def forget_classes(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    del metadata["classes"]


def unknown_row(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    metadata["spec"]["rows"][0]["kind"] = "attention"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, "missing fc4.bias"),
        (add, "unknown fc5.bias"),
        (reshape, "fc4.weight is (16, 6), not (6, 16)"),
        (spoil, "NaN or infinity in conv1.weight"),
        (shrink_mean, "mean image"),
        (lose_mean, "the mean image is missing"),
        (from_the_future, "format 2 is not the 1 of this version; upgrade"),
        (forget_classes, "damaged metadata"),
        (unknown_row, "unknown kind 'attention'"),
    ],
)
def test_a_file_that_is_not_right_is_refused_in_one_line(path: Path, change: Change, words: str) -> None:
    rewrite(path, change)
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_say_nothing_of_their_mean_image_are_read(path: Path, tiny_weights: Weights) -> None:
    """As written before a file said `"mean": "image"`."""
    rewrite(path, lambda tensors, metadata: metadata["preprocessing"].update(mean=[0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(read_weights(path).preprocessing.mean_image, tiny_weights.preprocessing.mean_image)


def test_the_header_is_what_reading_gives_without_the_tensors(path: Path) -> None:
    header, weights = read_header(path), read_weights(path)
    assert (header.spec, header.classes, header.errors) == (weights.spec, weights.classes, weights.errors)
    assert header.licence is None
    rewrite(path, lambda tensors, metadata: metadata.update(licence="MIT"))
    assert read_header(path).licence == "MIT"
    rewrite(path, drop)
    with pytest.raises(WeightsError, match=r"missing fc4\.bias"):
        read_header(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_weights(path)


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(WeightsError, match="of another program"):
        read_weights(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_weights(tmp_path / "w")


ODD = {
    "probe of numbers": {"probe": [1]},
    "probe of words": {"probe": "abc"},
    "logits in words": {"probe": {"logits": ["1", "2", "3", "4", "5", "6"]}},
    "logits in one word": {"probe": {"logits": "123456"}},
    "infinite logits": {"probe": {"logits": [float("inf")] * 6}},
    "logits beyond float32": {"probe": {"logits": [10**400] * 6}},
    "checksums that are a number": {"probe": {"logits": [1.0] * 6, "crc32": 5}},
    "checksums that are numbers": {"probe": {"logits": [1.0] * 6, "crc32": {"classes": 5}}},
    "errors that are numbers": {"errors": [1, 2]},
    "errors in words": {"errors": "none"},
    "errors without keys": {"errors": [{"data": "x"}]},
    "errors of no number of images": {
        "errors": [{"data": "x", "split": "val", "views": "ten", "images": 0.5, "top1_error": 0.5, "top5_error": None}]
    },
    "errors above one": {
        "errors": [{"data": "x", "split": "val", "views": "ten", "top1_error": 28.4, "top5_error": None}]
    },
    "errors that are no numbers": {
        "errors": [{"data": "x", "split": "val", "views": "ten", "top1_error": float("nan"), "top5_error": None}]
    },
    "a recipe of infinities": {"recipe": {"lr": float("inf")}},
    "recipe in words": {"recipe": "none"},
    "class names that are numbers": {"classes": [{"index": index, "name": 5, "wnid": None} for index in range(6)]},
    "classes without ids": {"classes": [{"index": index, "name": "a"} for index in range(6)]},
}


@pytest.mark.parametrize("odd", ODD)
def test_metadata_of_another_kind_is_one_line(path: Path, odd: str) -> None:
    rewrite(path, lambda _, metadata: metadata.update(ODD[odd]))
    with pytest.raises(WeightsError, match="damaged metadata") as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("resize", [1_000_000, [1_000_000, 16], [16.5, 16], 16.0, 10**30, "16", None])
def test_absurd_canvases_are_refused_before_anything_is_drawn(path: Path, resize: Any) -> None:
    def change(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        del tensors["preprocessing.mean_image"]
        metadata["preprocessing"] |= {"resize": resize, "mean": [0.0, 0.0, 0.0]}

    rewrite(path, change)
    with pytest.raises(WeightsError):
        read_weights(path)


def test_a_licence_is_a_name(path: Path) -> None:
    rewrite(path, lambda _, metadata: metadata.update(licence="CC0-1.0"))
    assert read_header(path).licence == "CC0-1.0"
    rewrite(path, lambda _, metadata: metadata.update(licence=5))
    with pytest.raises(WeightsError, match="licence: expected a name or null"):
        read_header(path)
