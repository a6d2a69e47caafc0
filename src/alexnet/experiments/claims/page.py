"""docs/claims.md from results/claims/*.json: a table of all claims, then every result with its picture.

Run: python -m alexnet.experiments.claims.page
"""

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from alexnet.atomic import write_whole
from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims.claim import BY_INTERVAL, RESULTS, Claim
from alexnet.experiments.claims.finding import Effect
from alexnet.experiments.claims.report import Result, read_results
from alexnet.experiments.claims.wording import describe_effect

PAGE = Path("docs/claims.md")
NOT_RUN = "not run here yet"
HEAD = """\
# The paper's claims, tried

Each claim of *ImageNet Classification with Deep Convolutional Neural Networks* (Krizhevsky, Sutskever, Hinton, 2012) is
a command: `alexnet claims` lists them, `alexnet claims NAME --data DATA` tries one and keeps what it finds in
`results/claims/`. This page is made from there by `make claims-page`. How a claim is tried stands at the head of its
file in [`experiments/claims/`](../src/alexnet/experiments/claims/__init__.py).

{rules}

Beside an interval stands the smallest effect that would have been seen in 80 % of such trials; a trial without one says
what it could have seen, or that it could not. Points are percentage points: of error, top-1 / top-5, or of neighbours
of the same class. The author's log is what the comments in the files of the 2012 release say. A claim is about ILSVRC
unless it says otherwise: what was tried on other data is another setting of it, and says which. `tiny-imagenet` and
`cifar10` are re-encoded copies of Tiny ImageNet (WebP of quality 60, with half of the validation images) and CIFAR-10
(JPEG of quality 75), on which errors are a little higher than on the originals.
"""
LINE = 120  # characters
NO_VERDICT = "see the picture"
COLUMNS = ("claim", "published", "author's log", "ours", "setting", "verdict")


def page(results: Sequence[Result], pictures: str) -> str:
    """The page in Markdown; `pictures` is the way from it to the folder of the results."""
    by_claim: dict[str, list[Result]] = {name: [] for name in CLAIMS}
    for result in results:
        by_claim.setdefault(result["claim"], []).append(result)
    rows = [row for name, found in by_claim.items() for row in _rows(name, found)]
    table = "\n".join(_row(cells) for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows))
    sections = "\n".join(_section(result, pictures) for found in by_claim.values() for result in found)
    return f"{HEAD.format(rules=_rules())}\n{table}\n" + (f"\n{sections}" if sections else "")


def _rules() -> str:
    """How verdicts are found, claim by claim where not in the usual way."""
    others = [claim for claim in CLAIMS.values() if claim.rule != BY_INTERVAL]
    items = [fill(f"- `{claim.name}`: {claim.rule}.", LINE, subsequent_indent="  ") for claim in others]
    return "\n".join([fill(f"Verdicts: {BY_INTERVAL}. Otherwise:", LINE), "", *items])


def _rows(name: str, found: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    if not found:
        yield _not_run(CLAIMS[name])
    for result in found:
        yield (
            f"`{name}`: {result['statement']} ({result['source']})",
            result["published"],
            result["author_log"] or "none",
            result["ours"],
            result["setting_line"],
            result["verdict"] or NO_VERDICT,
        )


def _not_run(claim: Claim) -> tuple[str, ...]:
    about = f"`{claim.name}`: {claim.statement} ({claim.source})"
    return about, claim.published, claim.author_log or "none", NOT_RUN, "", ""


def _section(result: Result, pictures: str) -> str:
    statement = result["statement"]
    lines = [f"## {result['claim']}, {result['setting']['data']}", "", f"{statement[:1].upper()}{statement[1:]}.", ""]
    lines += [f"- {_effect(effect)}" for effect in result["effects"]] or [f"- {result['ours']}"]
    verdict = result["verdict"] or NO_VERDICT
    said = f"Verdict: {verdict}. Intervals: {result['covers']}. Setting: {result['setting_line']}; {result['date']}."
    lines += ["", said, "", f"Command: `{result['command']}`", ""]
    if result["picture"]:
        lines += [f"![{statement}]({pictures}/{result['picture']})", ""]
    if result["shows_data"]:
        lines += ["Its picture shows images of the data, which are not ours to publish; the command draws it.", ""]
    return "\n".join(lines)


def _effect(stored: Mapping[str, Any]) -> str:
    effect = Effect(**{key: value for key, value in stored.items() if key != "verdict"})
    published = "" if effect.published is None else f"; published: {effect.published:g}, {_where(effect)}"
    return f"{describe_effect(effect)}: {effect.verdict}{published}"


def _where(effect: Effect) -> str:
    if effect.low is None:
        return "no interval to compare with"
    published = effect.published or 0.0
    if effect.high is None:
        return "not excluded by the bound" if effect.low <= published else "below the bound"
    return "inside the interval" if effect.low <= published <= effect.high else "outside the interval"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main(arguments: list[str] | None = None) -> None:
    """The command at the head of this file."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the JSON files")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write")
    asked = parser.parse_args(arguments)
    way = Path(os.path.relpath(asked.results, asked.out.parent)).as_posix()
    with write_whole(asked.out) as temporary:
        temporary.write_text(page(read_results(asked.results), way), encoding="utf-8")


if __name__ == "__main__":
    main()
