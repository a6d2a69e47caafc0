import pytest

from alexnet.train.observer import Observer, Printing, Silent


def watched(observer: Observer) -> None:
    observer.say("a line")
    with observer.progress("work", 1000, "images") as advance:
        advance(10, "half of it")
        advance()


def test_printing_says_its_news_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    watched(Printing())
    assert capsys.readouterr() == ("", "a line\nwork: 1,000 images\n")


def test_silent_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    watched(Silent())
    assert capsys.readouterr() == ("", "")
