from dataclasses import replace

import numpy as np
import pytest

from alexnet.data.splits import ArraySplit, DataSet, unnamed_classes
from alexnet.errors import DataError, InputError
from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims import study as module
from alexnet.experiments.claims.settings import PHOTOGRAPHS, DataFacts
from alexnet.experiments.claims.study import choose_setting, describe, open_study
from alexnet.train.observer import Silent


def data(colour: bool, *splits: str) -> DataSet:
    images = np.full((3, 40, 50, 3), 7, np.uint8)
    images[2, 5, 5, 1] += colour
    split = ArraySplit(images, np.arange(3), ("a", "b", "c"))
    return DataSet(name="some", classes=unnamed_classes(3), splits=dict.fromkeys(splits, split), fingerprint="x")


@pytest.mark.parametrize("colour", [True, False])
def test_data_is_described_by_its_first_images(colour):
    facts = describe(data(colour, "train", "val"))
    assert facts == DataFacts(name="some", num_classes=3, side=40, coloured=colour)


def test_the_first_setting_that_fits_is_taken():
    many = DataFacts(name="many", num_classes=1000, side=300, coloured=True)
    assert choose_setting(CLAIMS["lrn"], many).epochs == 90
    assert choose_setting(CLAIMS["lrn"], replace(many, num_classes=200)) == PHOTOGRAPHS
    assert choose_setting(CLAIMS["lrn"], replace(many, side=8)).net == "digits"


@pytest.mark.parametrize("name", ["towers", "every-run", "pca-colour", "figure-1", "crops-flips", "transfer", "talk"])
def test_what_digits_cannot_show_is_refused_in_a_line_that_says_what_is_needed(name, ask):
    with pytest.raises(InputError, match=f"claim {name} cannot be seen on digits: grey.* it needs colour"):
        open_study(CLAIMS[name], ask(), Silent())


def test_what_is_asked_for_replaces_the_setting(stand_in, ask):
    usual, asked = (open_study(stand_in, ask(**more), Silent()) for more in ({}, {"epochs": 5, "seeds": 7}))
    assert (usual.setting.epochs, usual.setting.seeds) == (2, 2)
    assert (asked.setting.epochs, asked.setting.seeds) == (5, 7)
    assert usual.held_out == "test"


@pytest.mark.parametrize("splits", [("train",), ("train", "val")], ids=["none", "one"])
def test_data_without_held_out_images_is_refused(stand_in, ask, monkeypatch, splits):
    monkeypatch.setattr(module, "open_data", lambda _: data(True, *splits))
    monkeypatch.setattr(module, "LEAST_HELD_OUT", 4)
    with pytest.raises(InputError, match="some holds no images out"):
        open_study(stand_in, ask(), Silent())


def test_no_such_data_is_said(stand_in, ask):
    with pytest.raises(DataError, match="nowhere"):
        open_study(stand_in, ask(data="nowhere"), Silent())


@pytest.mark.parametrize(
    ("num_weights", "options", "words"),
    [
        (None, {"weights": ("w",)}, "trains its own nets; leave --weights out"),
        ((1, 1), {}, "looks at 1 weights, not 0; name them, as in --weights tiny-imagenet-200"),
        ((1, 1), {"weights": ("v", "w")}, "looks at 1 weights, not 2"),
        ((2, 9), {"weights": ("w",)}, "looks at 2 to 9 weights, not 1"),
        ((1, 1), {"weights": ("w",), "epochs": 3}, "trains nothing"),
    ],
)
def test_weights_are_for_claims_about_weights(stand_in, ask, num_weights, options, words):
    with pytest.raises(InputError, match=words):
        open_study(replace(stand_in, num_weights=num_weights), ask(**options), Silent())
