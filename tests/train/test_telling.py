"""In what words processes hear of each other's differences and failures."""

import pytest

from alexnet.errors import DataError, InputError
from alexnet.train.telling import MOST_SAID, compare, describe


def test_the_same_facts_are_no_news() -> None:
    compare([{"net": "a", "seed": 1}] * 3)


def test_the_first_that_differs_is_named_and_long_facts_are_cut() -> None:
    facts = [{"net": "a", "data": "x" * 500}, {"net": "a", "data": "y" * 500}, {"net": "b", "data": "x"}]
    with pytest.raises(InputError, match=r"^rank 1 has another data than rank 0: y+\.\.\., not x+\.\.\.; start all"):
        compare(facts)
    with pytest.raises(InputError) as refused:
        compare([facts[0], facts[1]])
    assert "y" * MOST_SAID in str(refused.value)
    assert "y" * (MOST_SAID + 1) not in str(refused.value)
    with pytest.raises(InputError, match="rank 1 has another net than rank 0: b, not a"):
        compare([facts[0], facts[2]])


def test_a_fact_that_one_does_not_have_is_a_difference() -> None:
    with pytest.raises(InputError, match="rank 1 has another seed than rank 0: None, not 3"):
        compare([{"seed": 3}, {}])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, None),
        (InputError("no such net"), ("no such net", 2, False)),
        (DataError("a shard is damaged"), ("a shard is damaged", 2, True)),
        (OSError(28, "No space left on device", "x.pt"), ("[Errno 28] No space left on device: 'x.pt'", 1, False)),
        (ValueError("odd"), ("ValueError: odd", 1, False)),
    ],
)
def test_errors_are_told_in_words_with_their_exit_status(error, told) -> None:
    assert describe(error) == told
