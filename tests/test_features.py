from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data.collection import Collection, LooseImages, open_collection
from alexnet.errors import DataError, ImageError, InputError, UnknownNameError
from alexnet.features import extract_features, feature_blocks, read_collection, read_features
from alexnet.nn import assemble
from alexnet.predict import Classifier, load
from alexnet.similar import find_similar, open_among
from alexnet.weights import Weights


@pytest.fixture
def classifier(tiny_weights: Weights) -> Classifier:
    return load(tiny_weights)


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{number}.png") for number in range(7)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "f.npz"


def test_the_file_holds_what_the_classifier_says_of_each_image(
    classifier: Classifier, photos: list[str], out: Path
) -> None:
    layers = ["fc3", "conv1", "fc3:pre", "relu3", "fc4"]
    done = extract_features(classifier, open_collection(photos), layers, out, batch_size=3)
    assert done.layers == {"fc3": (7, 16), "conv1": (7, 8, 10, 10), "fc3:pre": (7, 16), "relu3": (7, 16), "fc4": (7, 6)}
    assert (done.images, done.errors) == (7, [])
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["layers"].tolist() == layers
        assert arrays["paths"].tolist() == photos
        assert (arrays["labels"].dtype, arrays["labels"].tolist()) == (np.int64, [-1] * 7)
        for layer in layers:
            found = arrays["features" if layer == "fc3" else f"features.{layer}"]
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, classifier.features(photos, layer), rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(arrays["features"], np.maximum(arrays["features.fc3:pre"], 0))


def test_a_layer_asked_for_twice_is_written_once(classifier: Classifier, photos: list[str], out: Path) -> None:
    assert list(extract_features(classifier, open_collection(photos), ["fc3", "fc3"], out).layers) == ["fc3"]


def test_features_are_copies(classifier: Classifier, photos: list[str]) -> None:
    """`conv1:pre` is what the in-place ReLU behind it overwrites; and the same buffers serve the next batch."""
    images = open_collection(photos).images
    names = ["conv1:pre", "conv1", "fc3:pre", "fc3"]
    blocks = feature_blocks(classifier, images, names, batch_size=3, left_out=lambda *_: None)
    kept = [(features, {name: array.copy() for name, array in features.items()}) for _, features in blocks]
    classifier.predict_batch(photos)
    assert len(kept) == 3
    for features, then in kept:
        assert features["conv1:pre"].min() < 0
        for name in names:
            np.testing.assert_array_equal(features[name], then[name])


def test_features_of_the_module_are_copies(tiny_weights: Weights) -> None:
    net = assemble(tiny_weights.spec, {key: torch.from_numpy(value) for key, value in tiny_weights.tensors.items()})
    images = torch.randn(2, 3, 12, 12)
    found = net.eval().features(images, ["conv1:pre", "conv1", "relu1", "fc4"])
    before = {name: tensor.clone() for name, tensor in found.items()}
    found["relu1"].zero_()
    net(torch.randn(2, 3, 12, 12))
    for name in ("conv1:pre", "conv1", "fc4"):
        torch.testing.assert_close(found[name], before[name], rtol=0, atol=0)


def test_damaged_images_are_named_and_left_out(classifier: Classifier, photos: list[str], out: Path) -> None:
    for number in (0, 4, 5, 6):
        Path(photos[number]).write_text("words")
    done = extract_features(classifier, open_collection(photos), ["fc3"], out, batch_size=2, workers=2)
    assert [path for path, _ in done.errors] == [photos[number] for number in (0, 4, 5, 6)]
    assert all(str(error).startswith(path) for path, error in done.errors)
    with np.load(out) as arrays:
        assert arrays["paths"].tolist() == photos[1:4]
        np.testing.assert_allclose(arrays["features"], classifier.features(photos[1:4], "fc3"), rtol=1e-4, atol=1e-3)


def test_nothing_is_written_where_nothing_can_be(classifier: Classifier, photos: list[str], out: Path) -> None:
    collection = open_collection(photos)
    with pytest.raises(UnknownNameError, match="unknown layer 'fc33'; did you mean fc3"):
        extract_features(classifier, collection, ["fc33"], out)
    with pytest.raises(InputError, match=r"written as \.npz; call the file .*f\.npz, not"):
        extract_features(classifier, collection, ["fc3"], out.with_suffix(".npy"))
    with pytest.raises(DataError, match="no images"):
        extract_features(classifier, Collection(LooseImages([], np.empty(0, np.int64))), ["fc3"], out)
    for path in photos:
        Path(path).write_text("words")
    with pytest.raises(DataError, match=r"all of 7 images are damaged, the first is .*0\.png: not an image"):
        extract_features(classifier, collection, ["fc3"], out)
    with pytest.raises(ImageError, match=r"^\S*3\.png: not an image"):
        extract_features(classifier, open_collection([photos[3]]), ["fc3"], out)
    assert list(out.parent.iterdir()) == []


def test_an_interrupted_extraction_leaves_the_old_file(classifier: Classifier, photos: list[str], out: Path) -> None:
    out.write_text("old")

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_features(classifier, open_collection(photos), ["fc3"], out, progress=stop)
    assert [path.read_text() for path in out.parent.iterdir()] == ["old"]


def test_a_written_file_is_read_back(classifier: Classifier, photos: list[str], out: Path) -> None:
    extract_features(classifier, open_collection(photos), ["fc3", "conv1"], out)
    collection = read_collection(out)
    assert list(collection.images.paths) == photos
    assert collection.images.image(2).size == (24, 20)
    [block] = read_features(out, classifier, "conv1", len(photos))
    np.testing.assert_array_equal(block, np.load(out)["features.conv1"])
    with pytest.raises(DataError, match="holds features of fc3, conv1, not of fc4"):
        next(read_features(out, classifier, "fc4", len(photos)))


ODD = {
    "features of one column broadcast": ({"features": np.zeros((7, 1), np.float32)}, r"'features' is float32 \(7, 1\)"),
    "features in words": ({"features": np.full((7, 16), "a")}, "'features' is <U1"),
    "features in double precision": ({"features": np.zeros((7, 16))}, "'features' is float64"),
    "features of fewer images": ({"features": np.zeros((6, 16), np.float32)}, r"not float32 7 x 16"),
    "a probe in words": ({"probe": np.full((1, 16), "a")}, "'probe' is <U1"),
    "a probe of NaN": ({"probe": np.full((1, 16), np.nan, np.float32)}, "other weights"),
    "labels below none": ({"labels": np.full(7, -5)}, "labels from -5 to -5, but 0 classes"),
    "labels of no class": ({"labels": np.full(7, 0)}, "labels from 0 to 0, but 0 classes"),
    "labels that are no integers": ({"labels": np.zeros(7)}, "'labels' is float64"),
    "fewer labels": ({"labels": np.full(6, -1)}, r"'labels' is int64 \(6,\), not int64 7"),
    "classes that are no list": ({"classes": np.array("a")}, "not plain rows"),
    "layers that are numbers": ({"layers": np.zeros(1)}, "'layers' is float64"),
    "no images": (
        {"paths": np.array([], "<U1"), "labels": np.empty(0, np.int64), "features": np.empty((0, 16), np.float32)},
        "features of no images",
    ),
    "a row that is not a number": ({"features": np.full((7, 16), np.nan, np.float32)}, "no finite numbers"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_a_file_holds_is_not_believed(classifier: Classifier, photos: list[str], out: Path, name: str) -> None:
    extract_features(classifier, open_collection(photos), ["fc3"], out)
    odd, words = ODD[name]
    with np.load(out) as arrays:
        np.savez(out, **(dict(arrays) | odd))
    with pytest.raises(DataError, match=words):
        find_similar(classifier, photos[0], open_among(str(out)), layer="fc3", left_out=lambda *_: None)


def test_a_file_of_other_weights_is_refused(
    classifier: Classifier, tiny_weights: Weights, photos: list[str], out: Path
) -> None:
    extract_features(classifier, open_collection(photos), ["fc3"], out)
    tiny_weights.tensors["fc3.weight"] *= 1.1
    with pytest.raises(DataError, match="written with other weights"):
        next(read_features(out, load(tiny_weights), "fc3", len(photos)))
