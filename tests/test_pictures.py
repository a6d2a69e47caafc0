import builtins
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import MissingExtraError
from alexnet.pictures import draw_curves, draw_kernels, draw_predictions, draw_similar
from alexnet.predict import Prediction
from alexnet.similar import Neighbour

RECORDS = [
    {"step": 20, "split": "train", "loss": 2.2, "top1_error": 0.8},
    {"step": 40, "split": "train", "loss": 1.1, "top1_error": 0.4},
    {"step": 40, "split": "val", "loss": 1.2, "top1_error": 0.5, "top5_error": 0.1},
]


def test_curves_of_a_run_and_of_one_without_records_are_pictures(tmp_path):
    for name, records in (("some.png", RECORDS), ("none.png", [])):
        draw_curves(records, math.log(10), tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.size == (1200, 480)


def test_each_kernel_is_stretched_to_its_own_range(tmp_path):
    """A faint kernel is drawn as strongly as a bold one, and a flat one does not divide by zero."""
    ramp = np.linspace(-1, 1, 75, dtype=np.float32).reshape(3, 5, 5)
    draw_kernels(np.stack([ramp, ramp]), tmp_path / "bold.png")
    draw_kernels(np.stack([ramp * 1e-4, ramp + 7]), tmp_path / "faint.png")
    bold, faint = (np.asarray(Image.open(tmp_path / name).convert("RGB"), int) for name in ("bold.png", "faint.png"))
    assert np.abs(bold - faint).max() <= 1
    draw_kernels(np.zeros((17, 3, 2, 2), np.float32), tmp_path / "flat.png")


def test_a_wrong_answer_is_red_and_a_right_one_green(tmp_path):
    def colours(label):
        answers = [[Prediction(label=label, index=0, probability=0.9)]]
        draw_predictions([Image.new("RGB", (8, 8))], answers, ["cat"], tmp_path / "one.png")
        return {tuple(pixel) for pixel in np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).reshape(-1, 3)}

    green, red = (0x1A, 0x7F, 0x37), (0xCF, 0x22, 0x2E)
    right, wrong = colours("cat"), colours("dog")
    assert green in right
    assert red not in right
    assert red in wrong


def test_neighbours_stand_to_the_right_of_the_image_asked_about(tmp_path):
    red, green, blue = (Image.new("RGB", (8, 8), name) for name in ("red", "lime", "blue"))
    found = [
        (green, Neighbour(path="a", label="cat", distance=1.5, index=0)),
        (blue, Neighbour(path="b", label=None, distance=2.0, index=1)),
    ]
    draw_similar(red, found, tmp_path / "similar.png")
    pixels = np.asarray(Image.open(tmp_path / "similar.png").convert("RGB"))
    middles = [
        np.argwhere((pixels == color).all(axis=2))[:, 1].mean() for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    ]
    assert middles == sorted(middles)


def test_a_neighbour_that_cannot_be_shown_has_its_name_in_its_place(tmp_path):
    """Whatever its name says: a dollar begins no formula, and a byte that is not UTF-8 is drawn too."""
    near = Neighbour(path="train/$\\frac/\udcff1", label="$_{\udcff", distance=1.5, index=0)
    ink = []
    for name in ("named.png", "blank.png"):
        found = [(None, near if name == "named.png" else replace(near, path=""))]
        draw_similar(Image.new("RGB", (8, 8), "red"), found, tmp_path / name)
        ink.append((np.asarray(Image.open(tmp_path / name).convert("L")) < 128).sum())
    assert ink[0] > ink[1]


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=r"alexnet\[plot\]"):
        draw_curves(RECORDS, 1.0, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())
