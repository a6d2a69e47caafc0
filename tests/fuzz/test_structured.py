"""Changes that know what they change leave all else as it was."""

import pickle
import pickletools
from contextlib import suppress
from random import Random

import pytest
from tests.fuzz.structured import json_changed, setting_changed, value_changed


def test_a_key_that_stands_once_is_changed_as_often_as_one_that_stands_everywhere() -> None:
    content = b"[a]\nrare=1\n" + b"".join(b"[b%d]\ncommon=2\n" % number for number in range(50))
    changed = [setting_changed(content, Random(seed), [b"word"]) for seed in range(300)]
    assert 80 < sum(b"[a]\nrare=1\n" not in each for each in changed) < 180
    assert all(each.count(b"[b") == 50 for each in changed)


def test_an_attribute_of_xml_is_a_setting() -> None:
    changed = {setting_changed(b'<data offset="0" size="4"/>', Random(seed), []) for seed in range(50)}
    assert any(
        each.startswith(b'<data offset="0" size="') and each != b'<data offset="0" size="4"/>' for each in changed
    )


def test_values_of_keys_are_changed_and_most_pickles_stay_whole() -> None:
    content = pickle.dumps({"epoch": 3, "many": [{"name": number} for number in range(50)]}, 2)
    found, whole = set(), 0
    for seed in range(300):
        changed = value_changed(content, Random(seed), [])
        with suppress(ValueError):
            codes = [(code.name, argument) for code, argument, _ in pickletools.genops(changed)]
            whole += 1
            at = next((at for at, (_, argument) in enumerate(codes) if argument == "epoch"), None)
            found |= {None if at is None else codes[at + 2]}
    assert whole > 250
    assert len(found) > 5


@pytest.mark.parametrize("value", [True, 3, 0.5, "text", [1, 2], {"a": 1}])
def test_a_value_of_json_becomes_another(value: object) -> None:
    assert any(json_changed(value, Random(seed)) != value for seed in range(10))
