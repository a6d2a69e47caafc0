import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.convert import convert
from alexnet.data.collection import open_collection
from alexnet.data.ilsvrc import imagenet_classes, order_classes
from alexnet.engines import TOLERANCES
from alexnet.errors import InputError, UnknownNameError, WeightsError
from alexnet.predict import load
from alexnet.verify import verify
from alexnet.weights import Weights, find_weights, save_weights
from alexnet.weights.probe import with_errors

ERRORS = ({"data": "x", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None},)
TENSORS = [f"{row}.{part}" for row in ("conv1", "conv2", "fc3", "fc4") for part in ("weight", "bias")]
MEAN_IMAGE = ("preprocessing.mean_image", "preprocessing.mean_crop")


@pytest.fixture
def source(tmp_path: Path, probed_weights: Weights) -> Path:
    save_weights(tmp_path / "source.safetensors", with_errors(probed_weights, ERRORS))
    return tmp_path / "source.safetensors"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(tmp_path / f"photos/{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("uint8_input", [False, True])
def test_everything_comes_along_to_onnx_and_back(uint8_input: bool, source: Path, tmp_path: Path) -> None:
    there = convert(source, tmp_path / "net.onnx", uint8_input=uint8_input)
    back = convert(tmp_path / "net.onnx", tmp_path / "back.safetensors")
    for done in (there, back):
        assert set(done.mapped) == {*TENSORS, *MEAN_IMAGE, "errors", "probe"}
        assert done.dropped == ()
        assert done.largest_difference <= TOLERANCES["onnxruntime", "fp32"] * done.largest_logit
    assert (there.format, there.bytes) == ("onnx", (tmp_path / "net.onnx").stat().st_size)
    assert (tmp_path / "back.safetensors").read_bytes() == source.read_bytes()
    assert verify(tmp_path / "net.onnx").checksummed


def test_everything_comes_along_to_pth_and_back(source: Path, tmp_path: Path) -> None:
    there = convert(source, tmp_path / "net.pth")
    back = convert(tmp_path / "net.pth", tmp_path / "back.safetensors")
    for done in (there, back):
        assert set(done.mapped) == {*TENSORS, *MEAN_IMAGE, "errors", "probe"}
        assert (done.dropped, done.largest_difference) == ((), 0)
    assert there.format == "pth"
    assert (tmp_path / "back.safetensors").read_bytes() == source.read_bytes()
    assert verify(tmp_path / "net.pth").checksummed


def test_a_folder_for_the_hub_is_new_and_holds_everything(source: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "mine", "huggingface")
    assert set(done.mapped) == {*TENSORS, *MEAN_IMAGE, "errors", "probe"}
    assert (done.dropped, done.largest_difference) == ((), 0)
    assert done.bytes == sum(path.stat().st_size for path in (tmp_path / "mine").iterdir())
    with pytest.raises(InputError, match="mine is there already"):
        convert(source, tmp_path / "mine", "huggingface")
    back = convert(tmp_path / "mine", tmp_path / "back.safetensors")
    assert back.dropped == ()
    assert (tmp_path / "back.safetensors").read_bytes() == source.read_bytes()


def test_classes_of_ilsvrc_are_put_in_the_order_that_a_format_is_read_in(tiny_weights: Weights, tmp_path: Path) -> None:
    """cuda-convnet has them as the development kit, readers of .pth by WordNet id."""
    classes = tuple(order_classes(imagenet_classes(), "devkit", "ILSVRC-2012"))
    rng = np.random.default_rng(0)
    last = {"fc4.weight": (1000, tiny_weights.tensors["fc4.weight"].shape[1]), "fc4.bias": (1000,)}
    tensors = {
        **tiny_weights.tensors,
        **{key: rng.normal(size=shape).astype(np.float32) for key, shape in last.items()},
    }
    weights = replace(tiny_weights, spec=tiny_weights.spec.with_classes(1000), classes=classes, tensors=tensors)
    save_weights(tmp_path / "devkit.safetensors", weights)
    done = convert(tmp_path / "devkit.safetensors", tmp_path / "net.pth")
    assert done.class_order == "sorted"
    assert [info.wnid for info in find_weights(tmp_path / "net.pth").classes] == sorted(imagenet_classes())
    assert convert(tmp_path / "devkit.safetensors", tmp_path / "same.safetensors").class_order is None
    back = convert(tmp_path / "net.pth", tmp_path / "back.safetensors", class_order="devkit")
    assert back.class_order == "devkit"
    assert find_weights(tmp_path / "back.safetensors").classes == classes


def test_openvino_gets_two_files(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    done = convert(source, tmp_path / "net.xml")
    assert set(done.mapped) >= set(TENSORS)
    assert done.bytes == sum((tmp_path / f"net.{suffix}").stat().st_size for suffix in ("xml", "bin"))
    assert done.largest_difference <= TOLERANCES["openvino", "fp32"] * done.largest_logit


def test_int8_drops_what_is_of_the_float32_net(source: Path, photos: Path, tmp_path: Path) -> None:
    seen = []
    collection = open_collection([str(photos)])
    done = convert(source, tmp_path / "net.onnx", calibration=collection, progress=seen.append)
    assert sum(seen) == 12
    assert done.dropped == ("errors", "probe")
    assert set(done.mapped) >= set(TENSORS)
    assert 0 < done.largest_difference <= 0.2 * done.largest_logit
    written = find_weights(tmp_path / "net.onnx")
    step = np.abs(find_weights(source).tensors["fc4.weight"]).max() / 127
    np.testing.assert_allclose(written.tensors["fc4.weight"], find_weights(source).tensors["fc4.weight"], atol=step)
    [found] = load(written, "onnxruntime").predict_batch([photos / "0.png"])
    assert len(found) == 5


def test_leaving_int8_is_said_and_doing_it_twice_is_refused(source: Path, photos: Path, tmp_path: Path) -> None:
    collection, int8 = open_collection([str(photos)]), tmp_path / "net.onnx"
    convert(source, int8, calibration=collection)
    for name in ("back.safetensors", "back.onnx"):
        done = convert(int8, tmp_path / name)
        assert done.dropped == ("int8",)
        assert done.largest_difference <= 0.2 * done.largest_logit
    with pytest.raises(InputError, match=r"net\.onnx is int8 already; convert the float32 weights"):
        convert(int8, tmp_path / "twice.onnx", calibration=collection)
    assert not (tmp_path / "twice.onnx").exists()


def test_a_format_may_be_said_where_the_suffix_does_not(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net\.bin: its suffix says no format; end it in \.safetensors, \.pth, "):
        convert(source, tmp_path / "net.bin")
    assert convert(source, tmp_path / "net.bin", "onnx").format == "onnx"
    with pytest.raises(UnknownNameError, match="unknown format 'onxx'; did you mean onnx"):
        convert(source, tmp_path / "net.bin", "onxx")


def test_a_file_without_a_graph_has_no_input_of_its_own(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no graph"):
        convert(source, tmp_path / "net.safetensors", uint8_input=True)
    assert not (tmp_path / "net.safetensors").exists()


def test_damaged_weights_and_missing_folders_leave_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; make it"):
        convert(source, tmp_path / "nowhere/net.onnx")
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(WeightsError):
        convert(source, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error_of_the_system(source: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        convert(source, tmp_path / "closed/net.onnx")


def test_the_source_is_not_written_over(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(InputError, match=r"source\.safetensors is what .* is read from; write elsewhere"):
        convert(source, source)
    assert source.read_bytes() == before
    pytest.importorskip("openvino")
    convert(source, tmp_path / "net.xml")
    tensors = (tmp_path / "net.bin").read_bytes()
    with pytest.raises(InputError, match=r"net\.bin is what .* is read from"):
        convert(tmp_path / "net.xml", tmp_path / "net.bin", "onnx")
    with pytest.raises(InputError, match="is read from"):
        convert(tmp_path / "net.xml", tmp_path / "net.xml")
    assert (tmp_path / "net.bin").read_bytes() == tensors


def test_int8_is_compared_as_it_is_run(source: Path, photos: Path, tmp_path: Path) -> None:
    """Floats of its rounded values are not what an int8 file computes, and the difference is shown."""
    convert(source, tmp_path / "int8.onnx", calibration=open_collection([str(photos)]))
    back = convert(tmp_path / "int8.onnx", tmp_path / "back.safetensors")
    assert 1e-6 * back.largest_logit < back.largest_difference < 0.2 * back.largest_logit
