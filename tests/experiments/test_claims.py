"""The table of claims: what every file of it must say, and that what it names exists."""

import ast
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.arch import find
from alexnet.arch.smaller import smaller
from alexnet.errors import UnknownNameError
from alexnet.experiments.claims import CLAIMS, find_claim
from alexnet.experiments.claims.comparison import MEASURES, Comparison
from alexnet.experiments.claims.race import Race
from alexnet.experiments.claims.transfer import CLAIM as TRANSFER
from alexnet.recipes import default_recipe, find_recipe
from alexnet.train.schedule import crops_by_epoch

FOLDER = Path(sys.modules["alexnet.experiments.claims"].__file__).parent
claims = pytest.mark.parametrize("name", CLAIMS)


def docstring(name: str) -> str:
    path = FOLDER / f"{name.replace('-', '_')}.py"
    return ast.get_docstring(ast.parse(path.read_text("utf-8")))


@claims
def test_a_file_says_claim_setting_run_and_report_and_the_command_is_its_own(name):
    text = docstring(name)
    heads = re.findall(r"^(\w+): ", text, re.MULTILINE)
    assert heads == ["Claim", "Setting", "Run", "Report"]
    assert f"Run: alexnet claims {name} --data " in text
    assert ("--weights" in text) == (CLAIMS[name].num_weights is not None)


@claims
def test_what_is_said_of_a_claim_is_said(name):
    claim = CLAIMS[name]
    assert claim.name == name
    assert claim.source.startswith("sec. ")
    assert claim.statement[0] == claim.statement[0].lower()
    assert not claim.statement.endswith(".")
    assert claim.published
    assert claim.rule
    assert claim.settings


@claims
def test_nets_and_recipes_of_a_claim_exist_in_every_setting(name):
    """Ablations, variations and measures are made by name: a misspelt one would be found after the first run."""
    claim = CLAIMS[name]
    plan = getattr(claim.run, "args", (None,))[0]
    for setting in claim.settings:
        if claim.num_weights:
            assert not setting.net
            continue
        recipe = find_recipe(setting.recipe) if setting.recipe else default_recipe(setting.net)
        nets = [find(setting.net)]
        if isinstance(plan, Comparison):
            assert plan.published.keys() <= MEASURES.keys()
            for change in plan.changes:
                nets.append(find(f"{setting.net}+{change.ablation}" if change.ablation else setting.net))
                find_recipe(f"{recipe.name}+{change.variation}" if change.variation else recipe.name)
                assert bool(change.ablation) != bool(change.variation)
        if isinstance(plan, Race):
            nets.append(find(f"{setting.net}+{plan.slower}"))
        for net in nets:
            for side in crops_by_epoch(replace(recipe, epochs=setting.epochs), net.input[1]):
                smaller(net, side)


def test_all_files_with_a_claim_are_in_the_table():
    """A file whose docstring has a claim, and the other way round."""
    with_claim = {
        path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if "\nCLAIM = " in path.read_text("utf-8")
    }
    assert with_claim == set(CLAIMS)


def test_an_unknown_claim_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown claim 'towres'; did you mean towers"):
        find_claim("towres")
    assert find_claim("transfer") is TRANSFER
