"""The pages are true: what they link to is there, and what they tell people to type exists."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/**/*.md", "examples/**/*.md", "results/**/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^( *)(```+|~~~+) *([\w-]*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "bash", "shell", "console"}
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|(?:src|href)=\"([^\"]+)\"")
STOP = {"|", ";", "&", "&&", "||", ">", ">>", "<", "2>", "(", ")"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())


def links(text: str) -> Iterator[str]:
    """The targets of links and pictures outside code."""
    for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))):
        yield match[1] or match[2]


def anchors(text: str) -> set[str]:
    """What `#name` may point to: every heading as GitHub spells it."""
    heads = re.findall(r"^#+ +(.+?) *#*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `alexnet ...` and `make ...` line in fenced blocks, up to the first pipe or redirection."""
    for block in FENCE.finditer(text):
        if block[3] not in SHELL:
            continue
        for line in block[4].replace("\\\n", " ").splitlines():
            if block[3] == "console" and not line.lstrip().startswith("$ "):  # output
                continue
            try:
                lexer = shlex.shlex(line.lstrip().removeprefix("$ "), posix=True, punctuation_chars=True)
                lexer.whitespace_split = True
                yield from simple_commands(list(lexer))
            except ValueError:  # an unclosed quote: a line of output, not a command
                continue


def simple_commands(words: list[str]) -> Iterator[list[str]]:
    """`A=1 alexnet x | make y` is `alexnet x` and `make y`; `python -m alexnet` and `bin/alexnet` are `alexnet`."""
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in STOP:
            command.append(word)
            continue
        while command and re.fullmatch(r"\w+=.*", command[0]):
            command.pop(0)
        if "-m" in command and command[command.index("-m") + 1 :][:1] == ["alexnet"]:
            command = command[command.index("-m") + 1 :]
        if command and (program := command[0].rpartition("/")[2]) in {"alexnet", "make"}:
            yield [program, *command[1:]]
        command = []


@cache
def help_of(*verb: str) -> str:
    """What `alexnet VERB --help` prints; the test fails where there is no such verb."""
    environment = {**os.environ, "COLUMNS": "300", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "alexnet", *verb, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"alexnet {' '.join(verb)}: {done.stderr.strip()}"
    return re.sub(r"\x1b\[[\d;]*m", "", done.stdout)  # colours, where the surroundings force them


@cache
def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def missing(command: list[str]) -> list[str]:
    """The words of `command` that do not exist: a make target, or an option of the verb."""
    program, *rest = command
    if program == "make":
        return [word for word in rest if "=" not in word and not word.startswith("-") and word not in make_targets()]
    shown = help_of(*[word for word in rest[:1] if not word.startswith("-")])
    options = {match[1] for word in rest if (match := re.match(r"\[?(--?[A-Za-z][\w-]*)", word))}
    options -= {"--help", "--debug"}  # of every verb
    return [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown)]


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text("utf-8")), f"{link}: no such heading"


@pages
def test_every_command_on_a_page_exists(page: Path) -> None:
    for command in commands(page.read_text("utf-8")):
        assert missing(command) == [], f"not in {' '.join(command[:2])}: {shlex.join(command)}"


@pages
def test_every_make_target_in_the_text_exists(page: Path) -> None:
    named = set(re.findall(r"`make ([a-z][a-z-]*)", FENCE.sub("", page.read_text("utf-8"))))
    assert named <= make_targets()


def test_commands_are_found_in_a_page() -> None:
    """The reader of pages itself: continued lines, pipes, variables and modules are seen, output and Python are not."""
    page = """
```console
$ make setup PYTHON=python3.12 && make test
$ A=1 .venv/bin/alexnet predict 'my photo.jpg' \\
    --top 3 | tee out.txt
alexnet says it's done
```
```sh
torchrun -m alexnet train x  # two ranks
```
```python
make = 1
```
"""
    assert list(commands(page)) == [
        ["make", "setup", "PYTHON=python3.12"],
        ["make", "test"],
        ["alexnet", "predict", "my photo.jpg", "--top", "3"],
        ["alexnet", "train", "x"],
    ]


def test_links_and_headings_are_found_in_a_page() -> None:
    page = '# The nets, in short\n[a](b.md#c) ![d](e.png) `[no](code)` <a href="f">\n```\n[no](block)\n```\n'
    assert list(links(page)) == ["b.md#c", "e.png", "f"]
    assert anchors(page) == {"the-nets-in-short"}


PAPER_MAP = ROOT / "docs/paper-map.md"
NOT_YET = "not yet"


def map_rows() -> list[list[str]]:
    """The cells of every row of the paper map but heads and rules."""
    lines = [line for line in PAPER_MAP.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in rows if row[-1] != "test"]


def named_in(cell: str) -> Iterator[tuple[Path, list[str]]]:
    """(file, names in it) for every linked file of a cell: the backticked words between its link and the next."""
    parts = re.split(r"\[`[^`]+`\]\(([^)]+)\)", cell)
    for link, text in zip(parts[1::2], parts[2::2], strict=True):
        yield (PAPER_MAP.parent / link).resolve(), re.findall(r"`(\w+)`", text)


@cache
def defined_in(file: Path) -> set[str]:
    """The functions, classes and module-level names of a Python file."""
    tree = ast.parse(file.read_text("utf-8"))
    names = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assigned = [node.targets if isinstance(node, ast.Assign) else [node.target] for node in tree.body if is_value(node)]
    return names | {target.id for targets in assigned for target in targets if isinstance(target, ast.Name)}


def is_value(node: ast.stmt) -> TypeGuard[ast.Assign | ast.AnnAssign]:
    return isinstance(node, ast.Assign | ast.AnnAssign)


@pytest.mark.parametrize("row", map_rows(), ids=lambda row: row[0])
def test_every_name_of_the_paper_map_is_where_it_says(row: list[str]) -> None:
    """A row has a file and a test, or says that it has not yet; names stand in the file they are linked to."""
    where, tests = row[-2:]
    for cell in (where, tests):
        found = list(named_in(cell))
        assert found or cell == NOT_YET, f"{cell}: names no file"
        for file, names in found:
            assert file.is_file(), f"{file}: no such file"
            assert set(names) <= defined_in(file), f"not in {file.name}: {set(names) - defined_in(file)}"
    functions = [name for _, names in named_in(tests) for name in names]
    assert all(name.startswith("test_") for name in functions)
    assert functions or tests == NOT_YET


def test_the_paper_map_has_every_section_of_the_paper() -> None:
    named = " ".join(row[0] for row in map_rows())
    sections = {"1", "2", "3.1", "3.2", "3.3", "3.4", "3.5", "4", "4.1", "4.2", "5", "6", "6.1", "7"}
    assert sections <= set(re.findall(r"sec\. ([\d.]*\d)", named))
    assert {"figure 1", "figure 2", "figure 3", "figure 4 left", "figure 4 right"} <= set(
        re.findall(r"figure \d(?: left| right)?", named)
    )
    assert {"table 1", "table 2"} <= set(re.findall(r"table \d", named))
