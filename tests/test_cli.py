"""The frame of the command line, as a shell sees it: exit status, streams, one line for every failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet
from alexnet import cli
from alexnet.cli import VERBS, main

COMMAND = [sys.executable, "-m", "alexnet"]


def test_help_lists_the_built_verbs_with_an_example_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in shown
        assert f"\n    alexnet {verb}" in shown
    assert main([]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_ends_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith(f"  Example: alexnet {verb}")


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"alexnet {alexnet.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sumary"], "unknown verb 'sumary'; did you mean summary"),
        (["fly"], "known: nets, summary"),
        (["--fly"], "--fly; see: alexnet --help"),
        (["nets", "--fly"], "--fly; see: alexnet nets --help"),
        (["nets", "extra"], "extra"),
        (["summary"], "NET"),
        (["summary", "caffe", "--batch-size", "0"], "--batch-size"),
        (["summary", "caffe", "--batch-size", "many"], "integer"),
        (["predict", "--weights", "w"], "IMAGE"),
        (["predict", "x.png", "--weights", "w", "--views", "two"], "two"),
        (["evaluate", "data"], "--weights"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("alexnet: error: ")
    assert shown.err.count("\n") == 1
    assert words in shown.err


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr(cli, "_run", run)


def test_ctrl_c_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    assert main(["nets"]) == 130
    assert capsys.readouterr() == ("", "alexnet: interrupted\n")


def test_a_surprise_is_one_line_and_a_traceback_only_under_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(ZeroDivisionError("two\nlines"), monkeypatch)
    assert main(["nets"]) == 1
    line = "alexnet: error: unexpected ZeroDivisionError: two lines (run again with --debug to see where)\n"
    assert capsys.readouterr() == ("", line)
    assert main(["nets", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith(line)


def shell(*arguments: str | Path, **kwargs: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload, no-any-return]


def test_the_module_runs_as_a_command() -> None:
    done = shell("summary", "no-such-net")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("alexnet: error: unknown net 'no-such-net'; known: krizhevsky-145")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "nets", "--json"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_full_disk_is_one_line_and_exit_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "nets"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "alexnet: error: no space left on the disk; free some or write elsewhere\n"


def test_tables_survive_a_terminal_that_knows_only_ascii() -> None:
    done = shell("nets", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "krizhevsky-145" in done.stdout
