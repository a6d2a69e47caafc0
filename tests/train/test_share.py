from alexnet.spans import Span
from alexnet.train.share import Share


def test_shares_lie_one_after_the_other() -> None:
    share = Share((4, 0, 3), 2)
    assert share.total == 7
    assert share.spans == (Span(0, 4, 7), Span(4, 0, 7), Span(4, 3, 7))
    assert share.own == Span(4, 3, 7)


def test_one_process_alone_has_all() -> None:
    assert Share((5,)).own == Span(0, 5, 5)
