"""Caffe's files as weights: what lies beside the trained net tells the rest, and all of it comes back."""

import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.arch import NETS
from alexnet.convert import convert
from alexnet.errors import InputError, MissingExtraError, WeightsError
from alexnet.interop.caffe.deploy import write_prototxt
from alexnet.interop.caffe.mean import read_mean_image, write_mean_image
from alexnet.preprocess import Preprocessing
from alexnet.verify import probe_logits
from alexnet.weights import Weights, find_weights, save_weights
from alexnet.weights.caffe_writer import save_caffe
from alexnet.weights.catalog import files_of, find_header
from alexnet.weights.stored import StoredTensors

pytest.importorskip("google.protobuf")


@pytest.fixture
def plain_weights(tiny_weights: Weights) -> Weights:
    """With a mean colour."""
    return replace(
        tiny_weights, preprocessing=replace(tiny_weights.preprocessing, mean_image=None, mean=(9.0, 5.0, 2.0))
    )


@pytest.mark.parametrize("v1", [False, True])
def test_all_that_caffe_has_words_for_comes_back(tmp_path: Path, tiny_weights: Weights, v1: bool) -> None:
    path = tmp_path / "net.caffemodel"
    save_caffe(path, tiny_weights, v1=v1)
    found, expected = find_weights(path), probe_logits(tiny_weights)
    np.testing.assert_allclose(probe_logits(found), expected, atol=1e-5 * np.abs(expected).max())
    assert found.spec.rows == tiny_weights.spec.rows
    assert found.classes == tiny_weights.classes == find_header(path).classes
    np.testing.assert_array_equal(found.preprocessing.mean_image, tiny_weights.preprocessing.mean_image[::-1])
    assert found.preprocessing == replace(tiny_weights.preprocessing, channel_order="BGR", mean_crop="view")
    assert isinstance(found.tensors, StoredTensors)
    names = {"net.caffemodel", "net.prototxt", "net.binaryproto", "net.txt"}
    assert {each.name for each in files_of(path)} == names == {each.name for each in tmp_path.iterdir()}


@pytest.mark.parametrize("scale", [1.0, 0.017])
def test_a_mean_image_of_caffe_comes_back_as_it_was(tmp_path: Path, tiny_weights: Weights, scale: float) -> None:
    """Through a file of ours, and with a scale to rounding."""
    image = tiny_weights.preprocessing.mean_image
    way = replace(
        tiny_weights.preprocessing, scale=scale, mean_image=image * np.float32(scale), mean_crop="view", resize=(16, 16)
    )
    first, ours, last = tmp_path / "first.caffemodel", tmp_path / "ours.safetensors", tmp_path / "last.caffemodel"
    save_caffe(first, replace(tiny_weights, preprocessing=way))
    written = read_mean_image(first.with_suffix(".binaryproto").read_bytes())
    assert convert(first, ours).dropped == ()
    assert find_weights(ours).preprocessing == replace(way, channel_order="BGR")
    assert convert(ours, last).dropped == ()
    found = read_mean_image(last.with_suffix(".binaryproto").read_bytes())
    np.testing.assert_allclose(found, written, rtol=0 if scale == 1 else 2e-7, atol=0)


def test_the_mean_colour_needs_no_file(tmp_path: Path, plain_weights: Weights) -> None:
    save_caffe(tmp_path / "net.caffemodel", plain_weights)
    assert not (tmp_path / "net.binaryproto").exists()
    assert find_weights(tmp_path / "net.caffemodel").preprocessing.mean == (2.0, 5.0, 9.0)


def test_a_strange_mean_image_is_not_taken_for_its_own(tmp_path: Path, plain_weights: Weights) -> None:
    image = np.zeros((3, 16, 16), np.float32)
    (tmp_path / "net.binaryproto").write_bytes(write_mean_image(image))
    with pytest.raises(InputError, match=r"net\.binaryproto would be taken for the mean image of .*; move it away"):
        save_caffe(tmp_path / "net.caffemodel", plain_weights)
    assert [path.name for path in tmp_path.iterdir()] == ["net.binaryproto"]
    save_caffe(tmp_path / "other.caffemodel", plain_weights)
    (tmp_path / "net.binaryproto").rename(tmp_path / "other.binaryproto")
    with pytest.raises(WeightsError, match=r"other\.binaryproto is a mean image, and .*prototxt has a mean_value"):
        find_weights(tmp_path / "other.caffemodel")


def test_a_mean_image_is_checked(tmp_path: Path, tiny_weights: Weights) -> None:
    path, mean = tmp_path / "net.caffemodel", tmp_path / "net.binaryproto"
    save_caffe(path, tiny_weights)
    whole = mean.read_bytes()
    for content, words in (
        (whole[:-1], r"net\.binaryproto: cut short"),
        (write_mean_image(np.zeros((3, 15, 16), np.float32)), r"the mean image is \(3, 15, 16\), the canvas needs"),
        (
            write_mean_image(np.full((3, 16, 16), np.nan, np.float32)),
            "the mean image holds values that are not numbers",
        ),
    ):
        mean.write_bytes(content)
        with pytest.raises(WeightsError, match=rf"net\.caffemodel: .*{words}") as caught:
            find_weights(path)
        assert "\n" not in str(caught.value)
    mean.unlink()
    with pytest.raises(WeightsError, match=r"wants the mean image net\.binaryproto, which is not beside it"):
        find_weights(path)


def test_classes_are_named_by_wordnet_id_or_by_name(tmp_path: Path, plain_weights: Weights) -> None:
    path, names = tmp_path / "net.caffemodel", tmp_path / "net.txt"
    save_caffe(path, plain_weights)
    lines = ["n01440764 tench, Tinca tinca", "n01443537", "a plain name", "x", "y", "n1 z"]
    names.write_text("\n".join(lines), encoding="utf-8")
    found = find_weights(path).classes
    assert [info.wnid for info in found] == ["n01440764", "n01443537", None, None, None, None]
    assert [info.name for info in found][:3] == ["tench, Tinca tinca", "goldfish, Carassius auratus", "a plain name"]
    save_caffe(path, replace(plain_weights, classes=found))
    assert find_weights(path).classes == found
    names.write_text("only\ntwo", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"net\.txt is to name 6 classes, one a line, and has 2 lines"):
        find_weights(path)
    names.unlink()
    assert [info.name for info in find_weights(path).classes] == list("012345")


def test_the_definition_may_be_called_as_usual(tmp_path: Path, plain_weights: Weights) -> None:
    path = tmp_path / "net.caffemodel"
    save_caffe(path, plain_weights)
    for name in ("deploy.prototxt", "train_val.prototxt"):
        next(tmp_path.glob("*.prototxt")).rename(tmp_path / name)
        assert find_weights(path).spec.rows == plain_weights.spec.rows
    (tmp_path / "solver.prototxt").write_text("net: 'train_val.prototxt'", encoding="utf-8")
    with pytest.raises(WeightsError, match="not weights of caffe"):  # of two nobody knows which
        find_weights(path)
    (tmp_path / "train_val.prototxt").unlink()
    with pytest.raises(WeightsError, match="not weights of caffe"):
        find_weights(path)


def test_without_a_definition_nothing_beside_it_counts(
    tmp_path: Path, random_tensors: Callable, write_caffemodel: Callable
) -> None:
    path = write_caffemodel(random_tensors("caffe", 7), "AlexNet")
    (tmp_path / "net.txt").write_text("just words", encoding="utf-8")
    assert find_weights(path).spec == NETS["caffe"].with_classes(7)
    assert files_of(path) == (path,)


def test_what_does_not_fit_the_definition_is_named(tmp_path: Path, plain_weights: Weights) -> None:
    path, definition = tmp_path / "net.caffemodel", tmp_path / "net.prototxt"
    save_caffe(path, plain_weights)
    text = definition.read_text(encoding="utf-8")
    for old, new, words in (
        ("num_output: 16", "num_output: 17", r"of another shape fc3.weight"),
        ('name: "fc4"', 'name: "other"', "missing other.weight, other.bias; unknown fc4.weight"),
        ("kernel_size: 3", "kernel_size: 99", r"net\.prototxt, layer conv1: .*leaves nothing"),
        ("dim: 12", "dim: 13", r"takes images of \(3, 13, 12\)"),
    ):
        definition.write_text(text.replace(old, new, 1), encoding="utf-8")
        for read in (find_weights, find_header) if "takes" not in words else (find_weights,):
            with pytest.raises(WeightsError, match=rf"net\.caffemodel: .*{words}") as caught:
                read(path)
            assert "\n" not in str(caught.value)


def test_a_definition_that_has_only_the_name_of_a_net_is_told_apart(
    tmp_path: Path, random_tensors: Callable, write_caffemodel: Callable
) -> None:
    path = write_caffemodel(random_tensors("caffenet", 5), "CaffeNet")
    text = write_prototxt(NETS["caffenet"].with_classes(5), Preprocessing(crop=227, channel_order="BGR"))
    assert "num_output: 6" in text
    path.with_suffix(".prototxt").write_text(text.replace("num_output: 6", "num_output: 7", 1), encoding="utf-8")
    for read in (find_weights, find_header):
        with pytest.raises(WeightsError, match=r"weights of caffenet as it is known here, .*: of another shape fc6\.w"):
            read(path)


def test_spoiled_files_never_do_worse_than_an_error(tmp_path: Path, tiny_weights: Weights) -> None:
    path, rng = tmp_path / "net.caffemodel", np.random.default_rng(0)
    save_caffe(path, tiny_weights)
    for each in tmp_path.iterdir():
        whole = each.read_bytes()
        for _ in range(40):
            spoiled = np.frombuffer(whole, np.uint8).copy()
            spoiled[rng.integers(len(whole), size=3)] = rng.integers(0, 256, 3)
            each.write_bytes(spoiled.tobytes()[: rng.integers(len(whole) // 2, len(whole) + 1)])
            with suppress(WeightsError):
                find_weights(path)
        each.write_bytes(whole)
    find_weights(path)


def test_weights_that_cannot_be_written_leave_nothing(tmp_path: Path, plain_weights: Weights) -> None:
    broken = {**plain_weights.tensors, "fc4.bias": np.full(6, np.nan, np.float32)}
    with pytest.raises(WeightsError, match=r"NaN or infinity in fc4\.bias"):
        save_caffe(tmp_path / "net.caffemodel", replace(plain_weights, tensors=broken))
    with pytest.raises(InputError, match=r"net\.bin: a net of Caffe is NAME\.caffemodel, with NAME\.prototxt beside"):
        save_caffe(tmp_path / "net.bin", plain_weights)
    assert list(tmp_path.iterdir()) == []


def test_converting_there_and_back_computes_the_same(tmp_path: Path, probed_weights: Weights) -> None:
    save_weights(tmp_path / "source.safetensors", probed_weights)
    there = convert(tmp_path / "source.safetensors", tmp_path / "net.caffemodel")
    back = convert(tmp_path / "net.caffemodel", tmp_path / "back.safetensors")
    assert (there.format, there.dropped) == ("caffe", ("probe", "preprocessing.mean_crop"))
    assert there.bytes == sum(path.stat().st_size for path in tmp_path.glob("net.*"))
    assert there.largest_difference <= 1e-5 * there.largest_logit
    assert back.largest_difference == 0
    with pytest.raises(InputError, match=r"net\.caffemodel is what .* is read from; write elsewhere"):
        convert(tmp_path / "net.caffemodel", tmp_path / "net.caffemodel")
    with pytest.raises(InputError, match="is read from"):
        convert(tmp_path / "net.caffemodel", tmp_path / "net.prototxt", "onnx")


def test_protobuf_is_named_where_it_is_missing(
    tmp_path: Path, plain_weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alexnet.interop.caffe.schema import net_message

    path = tmp_path / "net.caffemodel"
    save_caffe(path, plain_weights)
    net_message.cache_clear()
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(MissingExtraError, match=r"protobuf .*pip install 'alexnet\[caffe\]'"):
        find_weights(path)
    with pytest.raises(MissingExtraError):
        save_caffe(tmp_path / "other.caffemodel", plain_weights)
    assert not (tmp_path / "other.caffemodel").exists()


def test_a_small_mean_image_takes_little_memory(tmp_path: Path, plain_weights: Weights) -> None:
    save_caffe(tmp_path / "net.caffemodel", plain_weights)
    (tmp_path / "net.prototxt").write_text((tmp_path / "net.prototxt").read_text().replace("mean_value", "#"))
    (tmp_path / "net.binaryproto").write_bytes(b"no image")
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="net"):
            find_weights(tmp_path / "net.caffemodel")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
