import json
import re

import pytest

from alexnet.experiments.claims import CLAIMS
from alexnet.experiments.claims.claim import BY_INTERVAL
from alexnet.experiments.claims.page import NOT_RUN, main, page

EFFECT = {
    "what": "without LRN: top-1",
    "unit": "points",
    "value": 1.3,
    "low": 0.4,
    "high": 2.2,
    "neutral": 0.0,
    "published": 1.4,
    "detectable": 1.3,
    "verdict": "as published",
}


def result(**changed):
    return {
        "claim": "lrn",
        "statement": "LRN | helps",
        "source": "sec. 3.3",
        "published": "1.4 points",
        "author_log": "1.37 points",
        "ours": "1.3 points",
        "verdict": "as published",
        "rule": "by the first",
        "command": "alexnet claims lrn --data tiny",
        "setting": {"data": "tiny"},
        "setting_line": "tiny val; 3 seeds",
        "effects": [EFFECT],
        "covers": "3 seeds, paired",
        "details": {},
        "picture": "lrn.png",
        "shows_data": False,
        "date": "2026-11-21",
        **changed,
    }


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_without_results_every_claim_has_a_row_that_says_so():
    found = rows(page([], "x"))
    assert len(found) == len(CLAIMS)
    assert all(NOT_RUN in row for row in found)


def test_two_results_have_their_rows_pictures_and_effects():
    other = result(claim="figure-3", verdict=None, author_log=None, effects=[], picture="f.png", ours="of 96 kernels")
    text = page([result(), other], "../results/claims")
    found = rows(text)
    assert len(found) == len(CLAIMS)
    assert sum(NOT_RUN in row for row in found) == len(CLAIMS) - 2
    [lrn] = [row for row in found if "`lrn`" in row]
    assert [cell.strip() for cell in re.split(r"(?<!\\)\|", lrn)[1:-1]] == [
        r"`lrn`: LRN \| helps (sec. 3.3)",
        *("1.4 points", "1.37 points", "1.3 points", "tiny val; 3 seeds", "as published"),
    ]
    assert "![LRN | helps](../results/claims/lrn.png)" in text
    assert "as published; published: 1.4, inside the interval" in text
    assert "see the picture" in text
    assert "- of 96 kernels" in text
    assert "Command: `alexnet claims lrn --data tiny`\n" in text
    assert text.index("## lrn, tiny") < text.index("## figure-3, tiny")  # in the order of the paper


def test_a_picture_that_shows_images_of_the_data_is_not_linked():
    text = page([result(claim="figure-4-left", picture=None, shows_data=True)], "x")
    assert "![" not in text
    assert "images of the data, which are not ours to publish" in text


def test_a_published_number_outside_of_the_interval_is_said_to_be_so():
    text = page([result(effects=[EFFECT | {"published": 9.0}])], "x")
    assert "published: 9, outside the interval" in text


def test_a_lower_bound_has_no_upper_end():
    bound = EFFECT | {"unit": "times", "low": 2.0, "high": None, "neutral": 1.0}
    assert "published: 6, not excluded by the bound" in page([result(effects=[bound | {"published": 6.0}])], "x")
    assert "published: 1.5, below the bound" in page([result(effects=[bound | {"published": 1.5}])], "x")
    assert "no interval to compare with" in page([result(effects=[bound | {"low": None, "published": 6.0}])], "x")


def test_every_rule_stands_on_the_page():
    words = " ".join(page([], "x").split())
    for claim in CLAIMS.values():
        assert claim.rule in words
        assert (f"`{claim.name}`: {claim.rule}." in words) == (claim.rule != BY_INTERVAL)


def test_a_claim_tried_twice_has_two_rows():
    text = page([result(), result(setting_line="imagenet")], "x")
    assert len(rows(text)) == len(CLAIMS) + 1


@pytest.mark.parametrize("count", [0, 2])
def test_the_command_writes_the_page(tmp_path, count):
    (tmp_path / "results").mkdir()
    (tmp_path / "docs").mkdir()
    for number in range(count):
        (tmp_path / "results" / f"{number}.json").write_text(json.dumps(result()))
    main(["--results", str(tmp_path / "results"), "--out", str(tmp_path / "docs/claims.md")])
    text = (tmp_path / "docs/claims.md").read_text()
    assert text.count("](../results/lrn.png)") == count
    assert text.startswith("# The paper's claims, tried\n")
