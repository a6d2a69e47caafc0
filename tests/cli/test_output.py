import sys
from os import terminal_size

import pytest

from alexnet.cli import output
from alexnet.cli.output import print_facts

FACTS = [("ours", "one two-three four"), ("author's log", "none")]


def test_facts_stand_under_each_other_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts(FACTS)
    assert capsys.readouterr().out == "ours          one two-three four\nauthor's log  none\n"


@pytest.mark.parametrize("columns", [29, 5])
def test_in_a_terminal_they_are_broken_between_words(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too narrow for both columns breaks them itself."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(output, "get_terminal_size", lambda: terminal_size((columns, 20)))
    print_facts(FACTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ours          one two-three", "              four", "author's log  none"]
