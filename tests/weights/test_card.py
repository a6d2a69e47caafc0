import json
from dataclasses import replace
from typing import Any

import pytest

from alexnet.data.splits import ClassInfo
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights
from alexnet.weights.card import write_card

ERRORS = (
    {"data": "cifar10", "split": "test", "views": "center", "top1_error": 0.284, "top5_error": 0.02},
    {"data": "my photos", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None},
)


def head_and_text(card: str) -> tuple[dict[str, Any], str]:
    """The head of a card, read as what it is, and the text below."""
    _, head, text = card.split("---\n", 2)
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())}, text


def test_the_card_of_weights_that_know_nothing_claims_nothing(tiny_weights: Weights) -> None:
    head, text = head_and_text(write_card(tiny_weights))
    assert head == {
        "library_name": "alexnet",
        "pipeline_tag": "image-classification",
        "tags": ["alexnet", "image-classification", "tiny"],
    }
    assert "| licence | none is stored with these weights |" in text
    assert "None are stored with these weights." in text
    assert "Training" not in text
    assert "%" not in text


def test_errors_licence_and_recipe_are_told(tiny_weights: Weights) -> None:
    weights = replace(tiny_weights, errors=ERRORS, licence="MIT", recipe={"epochs": 3, "name": "mine"})
    head, text = head_and_text(write_card(weights))
    assert (head["license"], head["metrics"], head["datasets"]) == ("mit", ["accuracy"], ["cifar10"])
    first, second = head["model-index"][0]["results"]
    assert first["dataset"] == {"name": "cifar10", "type": "cifar10", "split": "test"}
    assert [metric["value"] for metric in first["metrics"]] == [0.716, 0.98]
    assert [metric["name"] for metric in second["metrics"]] == ["top-1 accuracy (ten)"]
    assert "| cifar10 | test | center | 28.40% | 2.00% |" in text
    assert "| my photos | val | ten | 50.00% |  |" in text
    assert '"epochs": 3' in text


def test_a_licence_that_the_hub_does_not_know_has_its_name(tiny_weights: Weights) -> None:
    head, _ = head_and_text(write_card(replace(tiny_weights, licence="unrestricted use")))
    assert (head["license"], head["license_name"]) == ("other", "unrestricted use")


def test_images_are_told_as_they_are_prepared(tiny_weights: Weights) -> None:
    size = {"crop": 12, "interpolation": "bicubic"}
    told = "shorter side resized to 16 (bilinear), central 12 x 12 pixels, RGB, 0 to 255, minus {}"
    assert told.format("the centre of the mean image") in write_card(tiny_weights)
    moving = replace(tiny_weights, preprocessing=replace(tiny_weights.preprocessing, mean_crop="view"))
    assert told.format("what of the mean image lies under them") in write_card(moving)
    warped = Preprocessing(resize=(14, 20), channel_order="BGR", mean=(104, 117, 123), reduce_to=13, **size)
    assert (
        "shorter side reduced to 13 if it is longer, resized to 14 x 20, whatever the aspect (bicubic), "
        "central 12 x 12 pixels, BGR, 0 to 255, minus (104, 117, 123) |"
    ) in write_card(replace(tiny_weights, preprocessing=warped))
    scaled = Preprocessing(resize=16, scale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), **size)
    assert "times 0.00392157, minus (0.5, 0.5, 0.5), divided by (0.25, 0.25, 0.25)" in (
        write_card(replace(tiny_weights, preprocessing=scaled))
    )


def test_odd_words_stay_in_their_places(tiny_weights: Weights) -> None:
    """Whoever made the weights wrote them; the card is shown to others."""
    odd = 'a |\n---\nb: "c" | 😀'
    classes = (ClassInfo(0, odd), *tiny_weights.classes[1:])
    errors = ({**ERRORS[0], "data": odd},)
    card = write_card(replace(tiny_weights, classes=classes, errors=errors, licence=odd))
    yaml = pytest.importorskip("yaml")
    head = yaml.safe_load(card.split("---\n", 2)[1])
    assert head["license_name"] == odd
    assert head["model-index"][0]["results"][0]["dataset"]["name"] == odd
    assert head["datasets"] == []
    assert 'classes | a \\| --- b: "c" \\| 😀; green; blue; and 3 more' in card
    assert head_and_text(card)[0] == head
