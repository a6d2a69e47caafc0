import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.errors import ImageError, InputError, UnknownNameError, WeightsError
from alexnet.metrics import softmax
from alexnet.predict import Classifier, load
from alexnet.preprocess import extract_views
from alexnet.weights import Weights, save_weights


@pytest.fixture
def classifier(tiny_weights: Weights) -> Classifier:
    return load(tiny_weights)


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def test_predictions_are_the_most_probable_classes_best_first(classifier: Classifier) -> None:
    found = classifier.predict(picture(), top=6)
    assert sum(each.probability for each in found) == pytest.approx(1, abs=1e-5)
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    assert [each.label for each in found] == [classifier.classes[each.index].name for each in found]
    assert classifier.predict(picture(), top=2) == found[:2]
    assert len(classifier.predict(picture(), top=99)) == 6


def test_every_kind_of_source_gives_the_same(classifier: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    picture().save(path)
    content = path.read_bytes()
    expected = classifier.predict(picture())
    for source in (path, str(path), content, io.BytesIO(content)):
        assert classifier.predict(source) == expected


def test_a_batch_gives_what_single_images_give(classifier: Classifier) -> None:
    images = [picture(seed) for seed in range(3)]
    for batched, image in zip(classifier.predict_batch(images), images, strict=True):
        single = classifier.predict(image)
        assert [each.index for each in batched] == [each.index for each in single]
        np.testing.assert_allclose(
            [each.probability for each in batched], [each.probability for each in single], rtol=1e-4
        )
    assert classifier.predict_batch([]) == []


def test_ten_views_average_probabilities_not_logits(classifier: Classifier) -> None:
    canvases = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16), dtype=np.uint8)
    views = extract_views(canvases, 12, "ten")
    expected = np.mean([softmax(classifier.engine.logits(view)) for view in views], axis=0)
    np.testing.assert_allclose(classifier.probabilities(canvases, "ten"), expected, rtol=1e-5)
    assert np.abs(expected - classifier.probabilities(canvases, "center")).max() > 1e-3


def test_features_are_of_one_image_or_several(classifier: Classifier) -> None:
    several = classifier.features([picture(0), picture(1)], "fc3")
    assert several.shape == (2, 16)
    assert classifier.features([], "fc3").shape == (0, 16)
    np.testing.assert_allclose(classifier.features(picture(1), "fc3"), several[1:], rtol=1e-4, atol=1e-3)
    with pytest.raises(UnknownNameError, match="unknown layer 'fc33'"):
        classifier.features(picture(), "fc33")


def test_each_gives_the_error_in_the_place_of_a_bad_image(classifier: Classifier) -> None:
    sources = [b"no image", picture(0), picture(1), b"", picture(2)]
    results = list(classifier.predict_each(sources, batch_size=2))
    assert [isinstance(result, ImageError) for result in results] == [True, False, False, True, False]
    assert [result for result in results if isinstance(result, list)][2][0].label == classifier.predict(picture(2))[
        0
    ].label


def test_bad_arguments_are_refused(classifier: Classifier, tiny_weights: Weights) -> None:
    with pytest.raises(InputError, match="top is 0"):
        classifier.predict(picture(), top=0)
    with pytest.raises(InputError, match="views is center or ten"):
        classifier.predict(picture(), views="twelve")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not list: several go to predict_batch"):
        classifier.predict([picture(), picture()])  # type: ignore[arg-type]
    with pytest.raises(WeightsError):
        load("nowhere")
    with pytest.raises(UnknownNameError):
        load(tiny_weights, engine="steam")


def test_the_public_load_reads_files(tiny_weights: Weights, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", tiny_weights)
    classifier = alexnet.load(tmp_path / "w.safetensors")
    assert isinstance(classifier, alexnet.Classifier)
    assert classifier.classes == tiny_weights.classes
    assert classifier.preprocessing == tiny_weights.preprocessing
    assert classifier.predict(picture()) == load(tiny_weights).predict(picture())


def test_one_image_is_no_batch_and_an_array_no_picture(classifier: Classifier) -> None:
    with pytest.raises(TypeError, match="takes a list of images"):
        classifier.predict_batch("photo.jpg")
    for pixels in (np.zeros((2, 16, 16, 3), np.uint8), [np.zeros((16, 16, 3), np.uint8)]):
        with pytest.raises(TypeError, match=r"an array through PIL\.Image\.fromarray"):
            classifier.predict_batch(pixels)  # type: ignore[arg-type]
