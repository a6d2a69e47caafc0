import pytest

from alexnet.spans import Span, spans, which_of


@pytest.mark.parametrize("total", [0, 1, 2, 7, 96, 128])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 200])
def test_spans_lie_one_after_the_other_and_differ_by_one_at_most(total: int, count: int) -> None:
    found = spans(total, count)
    assert len(found) == count
    places = [place for span in found for place in range(span.start, span.stop)]
    assert places == list(range(total))
    sizes = [span.size for span in found]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1
    assert {span.total for span in found} == {total}


def test_two_halves_of_what_divides_are_alike() -> None:
    assert spans(96, 2) == (Span(0, 48, 96), Span(48, 48, 96))


@pytest.mark.parametrize(
    ("number", "count", "expected"),
    [
        ("0", "1", (0, 1)),
        ("7", "8", (7, 8)),
        ("8", "8", None),
        ("-1", "8", None),
        ("0", "0", None),
        ("x", "2", None),
        ("0", "x", None),
        ("\u0661", "2", None),
        ("", "2", None),
        (None, "2", None),
        ("0", None, None),
    ],
)
def test_which_of_how_many_is_read_of_words(number, count, expected) -> None:
    assert which_of(number, count) == expected
