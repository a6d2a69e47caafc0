from pathlib import Path

import pytest

from alexnet.arch import find
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.config import Section, Value, parse_sections, read_sections
from alexnet.interop.cuda_convnet.definition import define
from alexnet.interop.cuda_convnet.files import read_net
from alexnet.interop.cuda_convnet.parameters import read_schedule, recipe_of
from alexnet.recipes import DExp, Exp, Linear, Momenta, Rates, Schedule, Steps

NETS = Path(__file__).parent / "nets"


def test_every_row_has_what_its_section_says() -> None:
    layers, parameters = (read_sections(NETS / f"{name}-145.cfg") for name in ("layers", "layer-params"))
    definition = define(layers, parameters, name="layers-145", source="test", input_size=None)
    recipe = recipe_of(definition, parameters, name="layer-params-145", source="test")
    assert recipe.row_rates.keys() == definition.banks.keys()
    assert set(recipe.row_rates.values()) == {Rates(Steps(0.01), Steps(0.02))}
    assert set(recipe.row_momenta.values()) == {Momenta(0.9, 0.9)}
    assert set(recipe.row_decay.values()) == {0.0005}
    assert recipe.row_limits == {}


def schedule(text: str, base: float = 0.01) -> Schedule:
    return read_schedule(Section("params.cfg", "fc", 1, {"schedw": Value(text, 7)}), "schedW", base)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("default", Steps(0.01)),
        ("dexp[tgtFactor=250,noiseStdev=0,numSteps=4]", DExp(0.01, 250, 4)),
        ("dexp[250,0,4]", DExp(0.01, 250, 4)),
        ("dexp[250,4]", DExp(0.01, 250, 4)),
        ("jdexp[250, 0.5, 4]", DExp(0.01, 250, 4, smooth=True, noise=0.5)),
        ("linear[1,1]", Linear(0.01, 0.01, 1.0)),
        ("linear[10]", Linear(0.01, 0.001)),
        ("exp[tgtFactor=1000,noiseStdev=0.1]", Exp(0.01, 1000, 0.1)),
    ],
)
def test_schedules_are_read_in_every_way_they_were_written(text: str, found: Schedule) -> None:
    assert schedule(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dexp", "'' is no setting of dexp"),
        ("dexp[a,b]", "'a' is no setting"),
        ("dexp[250,0,2.5]", "a whole number of steps"),
        ("exp[0]", "a factor above 0"),
        ("cos[1]", "no schedule; known: default, linear"),
        ("exp[1,2,3]", "'3' is no setting of exp: tgtfactor, noisestdev"),
        ("exp[inf]", "no setting"),
        ("exp[1", "no schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"params\.cfg, line 7, layer fc, schedW: ") as raised:
        schedule(text)
    assert words in str(raised.value)


def test_a_layer_without_its_section_is_named() -> None:
    layers = read_sections(NETS / "layers-145.cfg")
    parameters = {
        name: section for name, section in read_sections(NETS / "layer-params-145.cfg").items() if name != "fc1000"
    }
    definition = define(layers, parameters, name="layers-145", source="test", input_size=None)
    with pytest.raises(
        InputError, match=r"layers-145\.cfg, line \d+, layer fc1000: .*layer-params-145\.cfg has no section"
    ):
        recipe_of(definition, parameters, name="x", source="test")


TEXT = """; a comment
[one]
Type = conv ; of a kind
filters: 4,
   8

[one]
filters=3
[DEFAULT]
half=0.5
keep=%(half)s%%
"""


def test_text_is_read_as_python_2_read_it() -> None:
    section = parse_sections(TEXT, "x.cfg")["one"]
    assert section.text("type") == "conv"
    assert section.text("filters") == "3"
    assert section.text("KEEP") == "0.5%"


def test_the_files_of_net_145_give_our_net_and_its_first_rates() -> None:
    net = read_net(NETS / "layers-145.cfg", NETS / "layer-params-145.cfg")
    assert net.spec is find("krizhevsky-145")
    assert net.recipe is not None
    assert set(net.recipe.row_rates) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"}
    assert net.recipe.crops == "chunk"


def test_references_cannot_grow_a_file_without_bound() -> None:
    """Ten values of ten references each to the one before: ten billion times the first."""
    for first in ("", "x"):
        lines = [f"k0={first}", *(f"k{number + 1}=" + f"%(k{number})s" * 10 for number in range(10))]
        text = "[a]\n" + "\n".join(lines)
        if first:
            with pytest.raises(InputError, match=r"layer a, k5: its references make it longer than 16,384 characters"):
                parse_sections(text, "x.cfg")
        else:
            assert parse_sections(text, "x.cfg")["a"].text("k9") == ""
    sections = "".join(f"[s{number}]\n" for number in range(1000))
    keys = "".join(f"k{number}={'x' * 900}\n" for number in range(1000))
    with pytest.raises(InputError, match="grow the file beyond 4,194,304 characters"):
        parse_sections(f"[DEFAULT]\n{keys}{sections}", "x.cfg")


def test_references_in_a_circle_are_refused() -> None:
    with pytest.raises(InputError, match="refers to nothing"):
        parse_sections("[a]\nb=%(c)s\nc=%(b)s\n", "x.cfg")


def test_long_lines_and_long_values_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="is neither"):
        parse_sections("[a]\nb" + " " * 500_000 + "c", "x.cfg")  # a second for every ten thousand blanks, once
    with pytest.raises(InputError, match="layer a, b: longer than 16,384 characters"):
        parse_sections("[a]\nb=1\n" + " 2\n" * 300_000, "x.cfg")
