import pytest

from alexnet.arch import find
from alexnet.arch.shapes import measure
from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims.settings import CIFAR, DIGITS, ILSVRC, PHOTOGRAPHS, TRAINED_IN_COLOUR, DataFacts, Fits
from alexnet.experiments.claims.study import choose_setting
from alexnet.recipes import default_recipe, find_recipe

KNOWN = {
    "imagenet": DataFacts(name="imagenet", num_classes=1000, side=375, coloured=True),
    "tiny": DataFacts(name="tiny", num_classes=200, side=64, coloured=True),
    "cifar10": DataFacts(name="cifar10", num_classes=10, side=32, coloured=True),
    "digits": DataFacts(name="digits", num_classes=10, side=8, coloured=False),
    "five photos": DataFacts(name="five photos", num_classes=5, side=300, coloured=True),
    "grey photos": DataFacts(name="grey photos", num_classes=50, side=300, coloured=False),
}


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (ILSVRC, {"imagenet"}),
        (PHOTOGRAPHS, {"imagenet", "tiny"}),
        (CIFAR, {"cifar10"}),
        (DIGITS, {"digits"}),
        (TRAINED_IN_COLOUR[0], {"imagenet", "tiny", "cifar10", "five photos"}),
    ],
    ids=["ilsvrc", "photographs", "cifar", "digits", "trained"],
)
def test_every_setting_fits_its_own_data(setting, names):
    assert {name for name, facts in KNOWN.items() if setting.fits(facts)} == names


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_every_setting_names_a_net_and_a_recipe_that_there_are(claim):
    for setting in claim.settings:
        if setting.net:
            spec = find(setting.net)
            (find_recipe(setting.recipe) if setting.recipe else default_recipe(spec.name)).to_json()


def test_the_towers_of_every_run_have_a_control_without():
    for setting in CLAIMS["every-run"].settings:
        assert measure(find(setting.net))[0].output[0] % 2 == 0
        assert find(f"{setting.net}+ungrouped")
    found = choose_setting(CLAIMS["every-run"], KNOWN["cifar10"])
    assert (found.net, found.seeds) == ("cifar-towers", 6)


def test_data_and_wishes_are_said_in_words():
    assert str(KNOWN["digits"]) == "digits: grey images of 8 pixels in 10 classes"
    assert str(Fits()) == "colour images of 64 pixels or more in 6 classes or more"
    assert str(DIGITS.fits) == "images of 8 to 23 pixels in 6 classes or more"
