"""Real photographs by the shipped weights."""

from pathlib import Path

import pytest
from PIL import Image

from alexnet.errors import WeightsError
from alexnet.experiments import photographs
from alexnet.experiments.photographs import NOT_THERE, PHOTOGRAPHS, PICTURE, name_photographs

pytest.importorskip("skimage")


def test_photographs_are_named_and_drawn(tmp_path: Path) -> None:
    """Two have a true class among the 200; the espresso is told apart by far from 200 equal guesses."""
    named = name_photographs(tmp_path)
    assert [each.name for each in named] == list(PHOTOGRAPHS)
    truths = {each.name: each.truth for each in named if each.truth}
    assert truths == {"chelsea.png": "tabby, tabby cat", "coffee.png": "espresso"}
    for each in named:
        assert len(each.answers) == 5
        assert sum(answer.probability for answer in each.answers) <= 1
    espresso = named[1].answers
    assert "espresso" in [answer.label for answer in espresso]
    with Image.open(tmp_path / PICTURE) as picture:
        assert min(picture.size) > 300


def test_what_no_class_fits_is_shown_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        photographs, "draw_predictions", lambda images, answers, truths, path, columns: shown.extend(truths)
    )
    name_photographs(tmp_path)
    assert shown.count(NOT_THERE) == len(PHOTOGRAPHS) - 2


def test_missing_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights at"):
        name_photographs(tmp_path, weights="not-there")
