"""Layers of several inputs: one row where their banks of weights are one bank, several rows where they are not."""

import pytest

from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.config import parse_sections
from alexnet.interop.cuda_convnet.definition import Definition, define
from alexnet.interop.cuda_convnet.parameters import recipe_of
from alexnet.recipes import FilterLimits

ONE = "type=conv\nchannels=3\nfilters=16\nfilterSize=3\npadding=1\ninitW=0.1\ninputs=data"
LAYERS = f"""
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[one]
{ONE}
[two]
{ONE}
[both]
type=conv
inputs=one,two
channels=16,16
filters=4,4
filterSize=3,3
padding=1,1
initW=0.1,0.1
[fc]
type=fc
inputs=both,one
outputs=10
initW=0.1,0.1
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""


def written(**of_layers: str) -> tuple[Definition, str]:
    """The net, and its parameter file, in which each layer named has these lines too."""
    parameters = "".join(
        f"[{layer}]\nepsW={rates}\nmomW={rates}\nepsB=0.002\nmomB=0.9\n{of_layers.get(layer, '')}\n"
        for layer, rates in {"one": "0.1", "two": "0.1", "both": "0.1,0.1", "fc": "0.1,0.1"}.items()
    )
    parameters += "[cost]\ncoeff=1\n"
    sections = parse_sections(LAYERS, "layers.cfg"), parse_sections(parameters, "params.cfg")
    return define(*sections, name="net", source="test", input_size=8), parameters


def names(definition: Definition) -> list[str]:
    return [row.name for row in definition.spec.rows]


@pytest.mark.parametrize("lines", ["", "wc=0.1,0.1", "wball=0,0", "wcNormMin=0,0\nwcNormMax=0,0"])
def test_banks_that_differ_in_nothing_are_one_row(lines: str) -> None:
    assert names(written(both=lines)[0]) == ["one", "two", "both", "fc", "probs"]


@pytest.mark.parametrize("lines", ["wc=0.1,0.2", "wball=1,1", "wball=0,1", "wcNormMin=1,1", "wcNormMax=1,1"])
def test_banks_that_differ_or_are_limited_are_rows_and_their_sum(lines: str) -> None:
    assert names(written(both=lines)[0]) == ["one", "two", "both_of_one", "both_of_two", "both", "fc", "probs"]
    assert names(written(fc=lines)[0]) == ["one", "two", "both", "fc_of_both", "fc_of_one", "fc", "probs"]


def test_each_bank_has_its_own_limits() -> None:
    definition, parameters = written(both="wball=0.5,0\nwcNormMin=0.25,0.125\nwcNormMax=1,2")
    recipe = recipe_of(definition, parse_sections(parameters, "params.cfg"), name="recipe", source="test")
    assert recipe.row_limits == {
        "both_of_one": FilterLimits(longest=0.5, least=0.25, most=1),
        "both_of_two": FilterLimits(least=0.125, most=2),
    }


@pytest.mark.parametrize("lines", ["wball=1", "wcNormMax=1,2,3", "wcNormMin=none,none"])
def test_limits_that_are_no_numbers_or_too_few_are_refused_with_their_line(lines: str) -> None:
    with pytest.raises(InputError, match=r"^params\.cfg, line \d+, layer both, w\w+: "):
        written(both=lines)
