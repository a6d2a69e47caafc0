import pytest

from alexnet.experiments.claims import CLAIMS


@pytest.fixture
def here(tmp_path):
    return ("--out", tmp_path / "results/claims", "--runs", tmp_path / "runs")


def test_all_claims_are_listed_with_what_was_published(run, here):
    done = run("claims", *here)
    assert done.status == 0
    for name, claim in CLAIMS.items():
        assert name in done.stdout
        assert claim.published in done.stdout
    assert done.stdout.count("not run here") == len(CLAIMS)


def test_the_list_as_json(run, here):
    found = run("claims", *here, "--json").json["claims"]
    assert [claim["name"] for claim in found] == list(CLAIMS)
    assert found[0].keys() == {"name", "statement", "source", "published", "author_log", "settings", "results"}
    assert all(claim["results"] == [] for claim in found)


def test_a_claim_is_tried_kept_and_listed(run, here, tmp_path):
    asked = ("--data", "digits", "--seeds", "1", "--epochs", "1", "--limit-train-batches", "2", "--workers", "1")
    done = run("claims", "lrn", *asked, *here, "--device", "cpu")
    assert done.status == 0
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line and not line.startswith("author"))
    assert shown["published"] == "1.4 / 1.2 points"
    assert shown["ours"].startswith("without LRN: top-1 ")
    assert shown["setting"].startswith("digits test, 359 images, views: center; digits, recipe digits, 1 epoch")
    assert shown["verdict"] in ("as published", "opposite", "cannot tell")
    assert "nothing of other seeds" in shown["intervals"]
    again = run("claims", "lrn", *asked, *here, "--device", "cpu", "--json").json  # nothing is trained: stderr is empty
    assert again["claim"] == "lrn"
    assert again["setting"]["limit_train_batches"] == 2
    assert {effect["what"] for effect in again["effects"]} == {"without LRN: top-1", "without LRN: top-5"}
    [listed] = [claim for claim in run("claims", *here, "--json").json["claims"] if claim["results"]]
    assert listed["results"] == [again]
    assert "without LRN" in run("claims", *here).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("claims", "lnr"), "unknown claim 'lnr'; did you mean lrn"),
        (("claims", "lrn"), "claim lrn is tried on DATA (ILSVRC-2012, Tiny ImageNet, digits)"),
        (("claims", "--data", "digits"), "which claim?"),
        (("claims", "--seeds", "3"), "which claim?"),
        (("claims", "towers", "--data", "digits"), "claim towers cannot be seen on digits: grey images of 8 pixels"),
        (("claims", "ten-views", "--data", "digits"), "name them, as in --weights tiny-imagenet-200"),
        (("claims", "lrn", "--data", "digits", "--weights", "x"), "leave --weights out"),
        (("claims", "lrn", "--data", "digits", "--seeds", "0"), "--seeds"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(run, here, arguments, words):
    done = run(*arguments, *here)
    assert done.status == 2
    assert words in done.error
