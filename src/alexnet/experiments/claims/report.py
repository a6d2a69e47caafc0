"""Results on the disk: one JSON file and one picture for every trial of a claim.

A picture that shows images of the data is no result to publish, and is kept with the runs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from alexnet import __version__
from alexnet.atomic import write_whole
from alexnet.errors import InputError
from alexnet.experiments.claims.claim import Asked, Claim, Study
from alexnet.experiments.claims.finding import Effect, Finding
from alexnet.experiments.claims.intervals import scipy_stats
from alexnet.experiments.claims.study import open_study
from alexnet.experiments.claims.wording import setting_line
from alexnet.pictures import new_figure
from alexnet.train.observer import Observer

Result = Mapping[str, Any]
KEYS = {"claim", "statement", "source", "published", "author_log", "ours", "verdict"}
KEYS |= {"rule", "command", "setting", "setting_line", "effects", "covers", "picture", "shows_data", "date"}


def run_claim(claim: Claim, asked: Asked, observer: Observer) -> dict[str, Any]:
    """Try a claim and keep what was found, in `asked.out`; what is given back is what the JSON file holds.

    Raises:
        InputError: the claim cannot be tried as asked, or a folder cannot be written.
        MissingExtraError: matplotlib or SciPy is not installed, said before the work.
    """
    new_figure(1, 1)
    scipy_stats()
    study = open_study(claim, asked, observer)
    for folder in (asked.out, asked.runs):
        _make_folder(folder)
    try:
        finding = claim.run(study)
    except KeyboardInterrupt:
        observer.say(f"claim {claim.name}: finished runs are kept; add --resume to go on with the one in hand")
        raise
    if finding.draw:
        picture = (asked.runs if finding.shows_data else asked.out) / f"{study.slug}.png"
        finding.draw(picture)
        if finding.shows_data:
            observer.say(f"{picture} shows images of the data: look at it, but do not publish them")
    result = _result(study, finding)
    with write_whole(asked.out / f"{study.slug}.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return result


def read_results(folder: Path) -> list[Result]:
    """What has been found so far, by file name; nothing where there is no folder.

    Raises:
        InputError: a file there is not such a result.
    """
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _make_folder(path: Path) -> None:
    """Before the work that would fill it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); name another folder") from None


def _read(path: Path) -> Result:
    try:
        result = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete it and run the claim again") from None
    if not (isinstance(result, dict) and result.keys() >= KEYS):
        raise InputError(f"{path} is not a result of `alexnet claims`; move it elsewhere")
    return result


def _result(study: Study, finding: Finding) -> dict[str, Any]:
    claim = study.claim
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "published": claim.published,
        "author_log": claim.author_log,
        "ours": finding.ours,
        "verdict": finding.verdict,
        "rule": claim.rule,
        "command": study.command,
        "setting": dict(finding.setting),
        "setting_line": setting_line(finding.setting),
        "effects": [_effect(effect) for effect in finding.effects],
        "covers": finding.covers,
        "details": dict(finding.details),
        "picture": f"{study.slug}.png" if finding.draw and not finding.shows_data else None,
        "shows_data": finding.shows_data,
        "alexnet": __version__,
        "date": f"{date.today()}",
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {**asdict(effect), "verdict": effect.verdict}
