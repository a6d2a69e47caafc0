"""Real photographs by the shipped weights."""

from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

from alexnet.errors import WeightsError
from alexnet.experiments import photographs
from alexnet.experiments.photographs import NOT_THERE, PHOTOGRAPHS, PICTURE, draw_photographs, name_photographs

pytest.importorskip("skimage")


def test_photographs_are_named_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two have a true class among the 200, the others are drawn as such; the espresso is no guess of 200 equal ones."""
    draw = Mock(wraps=photographs.draw_predictions)
    monkeypatch.setattr(photographs, "draw_predictions", draw)
    named = name_photographs()
    draw_photographs(named, tmp_path)
    _, _, captions, _ = draw.call_args.args
    assert captions == [each.truth or NOT_THERE for each in named]
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


def test_missing_weights_are_one_line() -> None:
    with pytest.raises(WeightsError, match="no weights at"):
        name_photographs(weights="not-there")
