from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from alexnet.errors import WeightsError
from alexnet.export.onnx import onnx_model
from alexnet.weights import Weights, find_weights, read_weights, save_weights
from alexnet.weights.files import METADATA_KEY, read_header
from alexnet.weights.onnx import read_onnx_header, read_onnx_weights

ERRORS = ({"data": "x", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None},)


@pytest.fixture
def weights(probed_weights: Weights) -> Weights:
    return replace(probed_weights, errors=ERRORS, recipe={"name": "a recipe"})


@pytest.fixture(params=[False, True], ids=["float input", "uint8 input"])
def path(request: pytest.FixtureRequest, tmp_path: Path, weights: Weights) -> Path:
    path = tmp_path / "w.onnx"
    path.write_bytes(onnx_model(weights, uint8_input=request.param))
    return path


def test_all_that_using_weights_needs_travels_along(path: Path, weights: Weights) -> None:
    """The mean image too, where no operation of the graph uses it."""
    read = find_weights(path)
    assert (read.spec, read.classes, read.preprocessing) == (weights.spec, weights.classes, weights.preprocessing)
    assert (read.recipe, read.errors, read.probe) == (weights.recipe, weights.errors, weights.probe)
    np.testing.assert_array_equal(read.preprocessing.mean_image, weights.preprocessing.mean_image)
    assert read.tensors.keys() == weights.tensors.keys()
    for key, tensor in weights.tensors.items():
        np.testing.assert_array_equal(read.tensors[key], tensor)
        assert read.tensors[key].flags.writeable


def test_they_go_to_safetensors_and_back_bit_for_bit(path: Path, tmp_path: Path, weights: Weights) -> None:
    save_weights(tmp_path / "direct.safetensors", weights)
    save_weights(tmp_path / "round.safetensors", find_weights(path))
    assert (tmp_path / "round.safetensors").read_bytes() == (tmp_path / "direct.safetensors").read_bytes()


def test_another_program_may_write_the_file_again(path: Path, weights: Weights) -> None:
    """In its own order of fields, without the tensors that no operation uses."""
    model = onnx.load(path)
    onnx.save(model, path)
    assert find_weights(path).tensors["fc4.weight"].tolist() == weights.tensors["fc4.weight"].tolist()


def test_the_header_is_that_of_safetensors(path: Path, tmp_path: Path, weights: Weights) -> None:
    save_weights(tmp_path / "w.safetensors", weights)
    assert read_onnx_header(path) == read_header(tmp_path / "w.safetensors")


def rewrite(path: Path, change: Callable[[Any], object]) -> None:
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())


def tensor_of(model: Any, key: str) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.name == key)


def drop_tensor(model: Any) -> None:
    tensor_of(model, "fc3.bias").name = "another"


def spoil(model: Any) -> None:
    tensor = tensor_of(model, "fc3.bias")
    values = numpy_helper.to_array(tensor).copy()
    values[0] = np.inf
    tensor.raw_data = values.tobytes()


def reshape(model: Any) -> None:
    tensor_of(model, "fc4.weight").dims[:] = [16, 6]


def make_whole(model: Any) -> None:
    tensor_of(model, "fc4.bias").CopyFrom(numpy_helper.from_array(np.zeros(6, np.int32), "fc4.bias"))


def forget(model: Any) -> None:
    del model.metadata_props[:]


def replace_by_a_foreign_one(model: Any) -> None:
    forget(model)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.float16), "halves"))


def forget_mean(model: Any) -> None:
    model.metadata_props.remove(next(each for each in model.metadata_props if each.key != METADATA_KEY))


def spoil_mean(model: Any) -> None:
    next(each for each in model.metadata_props if each.key != METADATA_KEY).value = "AAA="


def quantize(model: Any) -> None:
    tensor = tensor_of(model, "fc4.weight")
    values = numpy_helper.to_array(tensor)
    scale = np.abs(values).max(axis=1) / 127
    tensor.CopyFrom(numpy_helper.from_array(np.rint(values / scale[:, None]).astype(np.int8), "fc4.weight"))
    model.graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), "fc4.weight.scale"))


def spoil_scale(model: Any) -> None:
    quantize(model)
    tensor_of(model, "fc4.weight.scale").raw_data = np.full(6, np.nan, np.float32).tobytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop_tensor, "missing fc3.bias"),
        (spoil, "NaN or infinity in fc3.bias"),
        (reshape, "fc4.weight is (16, 6), not (6, 16)"),
        (make_whole, "float32, or whole numbers with scales; fc4.bias are not"),
        (spoil_scale, "NaN or infinity in fc4.weight.scale"),
        (forget, "an ONNX file of another program (no 'alexnet' metadata); give one that this package wrote"),
        (replace_by_a_foreign_one, "an ONNX file of another program"),
        (forget_mean, "the mean image is missing"),
        (spoil_mean, "damaged metadata"),
    ],
)
def test_a_file_that_is_not_right_is_refused_in_one_line(
    path: Path, change: Callable[[Any], object], words: str
) -> None:
    rewrite(path, change)
    with pytest.raises(WeightsError) as caught:
        find_weights(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.999])
def test_a_part_of_a_file_is_refused(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError):
        find_weights(path)


def test_whole_numbers_with_scales_are_weights_too(path: Path, weights: Weights) -> None:
    rewrite(path, quantize)
    read = read_onnx_weights(path)
    step = np.abs(weights.tensors["fc4.weight"]).max() / 127
    np.testing.assert_allclose(read.tensors["fc4.weight"], weights.tensors["fc4.weight"], atol=0.51 * step)
    assert read.tensors.is_quantized  # type: ignore[attr-defined]


def test_safetensors_stay_in_their_file_too(tmp_path: Path, weights: Weights) -> None:
    save_weights(tmp_path / "w", weights)
    read = read_weights(tmp_path / "w")
    assert all(not view.flags.writeable for view in read.tensors.views.values())  # type: ignore[attr-defined]
