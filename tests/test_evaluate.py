from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from alexnet.data.splits import ArraySplit, ClassInfo, unnamed_classes
from alexnet.errors import DataError, WeightsError
from alexnet.evaluate import Sums, evaluate
from alexnet.metrics import nll, topk_error
from alexnet.predict import Classifier, load
from alexnet.preprocess import Preprocessing, resize_image
from alexnet.weights import Weights

NUM_IMAGES = 11


@pytest.fixture
def classifier(tiny_weights: Weights) -> Classifier:
    return load(tiny_weights)


@pytest.fixture
def split() -> ArraySplit:
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (NUM_IMAGES, 18, 22, 3), dtype=np.uint8)
    labels = rng.integers(0, 6, NUM_IMAGES)
    return ArraySplit(images, labels, [f"image {index}" for index in range(NUM_IMAGES)])


def probabilities(classifier: Classifier, split: ArraySplit, views: str = "center") -> np.ndarray:
    """All of them at once."""
    way = classifier.preprocessing
    canvases = np.stack([resize_image(split.image(i), way.resize, way.interpolation) for i in range(len(split))])
    return classifier.probabilities(canvases, views)  # type: ignore[arg-type]


@pytest.mark.parametrize("views", ["center", "ten"])
def test_errors_and_loss_are_those_of_all_images_at_once(classifier: Classifier, split: ArraySplit, views: str) -> None:
    seen: list[int] = []
    measured = evaluate(
        [classifier], split, classifier.classes, views=views, batch_size=4, workers=1, progress=seen.append
    )  # type: ignore[call-overload]
    probs = probabilities(classifier, split, views)
    assert measured.top1_error == pytest.approx(topk_error(probs, split.labels, 1))
    assert measured.top5_error == pytest.approx(topk_error(probs, split.labels, 5))
    assert measured.loss == pytest.approx(nll(probs, split.labels).mean(), rel=1e-4)
    assert (measured.images, measured.views, seen) == (NUM_IMAGES, views, [4, 4, 3])
    assert measured.images_per_second > 0


def test_labels_follow_the_names_of_the_classes(classifier: Classifier, split: ArraySplit) -> None:
    order = np.array([3, 1, 0, 5, 4, 2])
    shuffled = tuple(ClassInfo(place, classifier.classes[index].name) for place, index in enumerate(order))
    renamed = replace(split, labels=np.argsort(order)[split.labels])
    direct = evaluate([classifier], split, classifier.classes)
    assert evaluate([classifier], renamed, shuffled).loss == pytest.approx(direct.loss)


def test_an_ensemble_averages_probabilities_over_reordered_classes(
    classifier: Classifier, split: ArraySplit, tiny_weights: Weights
) -> None:
    order = np.array([5, 4, 3, 2, 1, 0])
    other = replace(
        tiny_weights,
        classes=tuple(ClassInfo(place, tiny_weights.classes[index].name) for place, index in enumerate(order)),
        preprocessing=Preprocessing(resize=(14, 18), crop=12, mean=(100.0, 110.0, 120.0)),
        tensors={
            key: tensor[order] if key.startswith("fc4") else tensor for key, tensor in tiny_weights.tensors.items()
        },
    )
    second = load(other)
    mean = (probabilities(classifier, split) + probabilities(second, split)[:, order]) / 2
    measured = evaluate([classifier, second], split, classifier.classes)
    assert measured.loss == pytest.approx(nll(mean, split.labels).mean(), rel=1e-4)
    assert measured.top1_error == pytest.approx(topk_error(mean, split.labels, 1))


def test_top5_is_not_told_under_six_classes(split: ArraySplit, tiny_weights: Weights) -> None:
    five = replace(
        tiny_weights,
        spec=tiny_weights.spec.with_classes(5),
        classes=tiny_weights.classes[:5],
        tensors={key: tensor[:5] if key.startswith("fc4") else tensor for key, tensor in tiny_weights.tensors.items()},
    )
    split = replace(split, labels=split.labels % 5)
    assert evaluate([load(five)], split, five.classes).top5_error is None
    with pytest.raises(WeightsError, match="tiny has 6, tiny has 5"):
        evaluate([load(tiny_weights), load(five)], split, five.classes)


def test_weights_of_other_classes_are_refused(classifier: Classifier, split: ArraySplit) -> None:
    with pytest.raises(DataError, match="2 of the data's 2 classes"):
        evaluate([classifier], split, (ClassInfo(0, "cat"), ClassInfo(1, "dog")))
    stranger = Classifier(
        weights=replace(classifier.weights, classes=tuple(ClassInfo(i, f"class {i}") for i in range(6))),
        engine=classifier.engine,
    )
    with pytest.raises(WeightsError, match="name different ones"):
        evaluate([classifier, stranger], split, classifier.classes)


def test_a_split_without_images_is_refused(classifier: Classifier) -> None:
    empty = ArraySplit(np.zeros((0, 4, 4, 3), np.uint8), np.zeros(0, np.int64), [])
    with pytest.raises(DataError, match="no images"):
        evaluate([classifier], empty, unnamed_classes(6))


def test_images_may_be_measured_in_parts(classifier: Classifier, split: ArraySplit) -> None:
    asked = []

    def divide(count: int, _: int, measure: Callable[[np.ndarray], Sums]) -> Sums:
        asked.append(count)
        parts = [measure(indices) for indices in (np.arange(4), np.arange(4, count), np.arange(0))]
        return Sums(*np.sum(parts, axis=0))

    whole = evaluate([classifier], split, classifier.classes)
    parts = evaluate([classifier], split, classifier.classes, divide=divide)
    assert asked == [NUM_IMAGES]
    assert (parts.images, parts.top1_error, parts.top5_error) == (NUM_IMAGES, whole.top1_error, whole.top5_error)
    assert parts.loss == pytest.approx(whole.loss)
