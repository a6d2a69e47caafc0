import subprocess
import sys

import pytest

from alexnet.cli import progress as module
from alexnet.cli.progress import progress


def test_short_work_says_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("work", 2, "images") as advance:
        advance(1)
        advance(1, "loss 0.5")
    assert capsys.readouterr() == ("", "")


def test_long_work_says_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    with progress("work", 1000, "images") as advance:
        advance(100)
        advance(100, "loss 0.5")
    assert capsys.readouterr() == ("", "work: 200/1,000 images, 10 images/s, 80 s left  loss 0.5\n")


def test_a_terminal_gets_a_bar_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    with progress("work", 10, "images") as advance:
        advance(10, "[loss]")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "work" in shown.err
    assert "10/10" in shown.err
    assert "[loss]" in shown.err


def test_work_goes_on_when_nobody_reads_its_news_any_more() -> None:
    """`alexnet train ... 2>&1 | head -4`: a real pipe, whose reader is gone."""
    code = (
        "import os, sys; from alexnet.cli.progress import Watcher\n"
        "sys.stdin.read()\n"  # until the reader of stderr is gone
        "watcher = Watcher()\n"
        "watcher.say('news')\n"
        "with watcher.progress('work', 10, 'images') as advance: advance(10)\n"
        "print('done')\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        process.stdin.close()
        assert process.stdout.read() == "done\n"
    assert process.returncode == 0
