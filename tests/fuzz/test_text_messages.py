"""Fields of messages as text are set in the blocks that they are for."""

from random import Random

from tests.fuzz.text_messages import with_field, words_of


def test_a_field_is_set_in_a_block_that_it_is_for() -> None:
    text = b"layer {\n  name: 'a'\n  conv {\n    size: 3\n    pad: 1\n  }\n}\n"
    changed = {with_field(text, Random(seed), b"conv { size: nan }") for seed in range(20)}
    assert any(b"size: nan" in each and b"size: 3" not in each and b"pad: 1" in each for each in changed)
    assert all(each.count(b"size: nan") == 1 for each in changed)
    assert b"\npool { size: 2 }\n" in with_field(text, Random(0), b"pool { size: 2 }")


def test_every_field_has_a_word_for_each_of_its_values() -> None:
    messages = {"net": {"layer": (1, "l*")}, "l": {"on": (1, "bool=true"), "kind": (2, "E")}}
    words = {"layer { on: true }", "layer { on: false }", "layer { kind: X }"}
    assert set(words_of(messages, {"E": {"X": 0}}, "net")) == words
