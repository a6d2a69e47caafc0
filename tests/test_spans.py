import pytest

from alexnet.spans import Span, spans


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
