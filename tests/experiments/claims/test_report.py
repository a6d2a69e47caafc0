import json
import sys
from dataclasses import replace

import pytest

from alexnet.errors import InputError, MissingExtraError
from alexnet.experiments.claims.comparison import Change, Comparison, compare
from alexnet.experiments.claims.finding import Finding
from alexnet.experiments.claims.machine import describe_machine
from alexnet.experiments.claims.report import KEYS, read_results, run_claim
from alexnet.train.observer import Silent

COMPARISON = Comparison(changes=(Change(name="without LRN", ablation="no-lrn"),), published={"top-1": 1.4})


@pytest.fixture
def claim(stand_in):
    return replace(stand_in, run=lambda study: compare(COMPARISON, study))


def test_a_claim_from_question_to_files(claim, ask):
    asked = ask(seeds=1, limit_train_batches=2)
    result = run_claim(claim, asked, Silent())
    stem = "stand-in_digits_2-epochs_2-steps_1-seeds"
    assert sorted(path.name for path in asked.out.iterdir()) == [f"{stem}.json", f"{stem}.png"]
    assert json.loads((asked.out / f"{stem}.json").read_text()) == result
    assert result.keys() >= KEYS
    assert result["picture"] == f"{stem}.png"
    assert result["effects"][0]["verdict"] == result["verdict"]
    assert result["rule"].startswith("the first measure alone decides")
    assert result["setting"]["machine"]["device"] == "cpu"
    assert read_results(asked.out) == [result]


def test_a_picture_with_images_of_the_data_is_kept_with_the_runs(stand_in, ask):
    shown = Finding(
        ours="a picture",
        verdict=None,
        setting={"data": "digits", "weights": ["w"], "machine": describe_machine("cpu")},
        shows_data=True,
        draw=lambda path: path.touch(),
    )
    asked = ask()
    result = run_claim(replace(stand_in, run=lambda _: shown), asked, Silent())
    [picture] = asked.runs.glob("*.png")
    [kept] = asked.out.iterdir()
    assert (result["picture"], result["shows_data"]) == (None, True)
    assert (picture.stem, kept.suffix) == (kept.stem, ".json")


def test_an_interrupted_claim_says_how_to_go_on_and_writes_nothing(stand_in, ask):
    def interrupt(_):
        raise KeyboardInterrupt

    class Listening(Silent):
        def __init__(self):
            self.news = []

        def say(self, line):
            self.news.append(line)

    observer = Listening()
    with pytest.raises(KeyboardInterrupt):
        run_claim(replace(stand_in, run=interrupt), ask(), observer)
    assert observer.news == ["claim stand-in: finished runs are kept; add --resume to go on with the one in hand"]
    assert not list(ask().out.iterdir())


@pytest.mark.parametrize("name", ["out", "runs"])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(stand_in, ask, tmp_path, name):
    (tmp_path / "file").touch()
    asked = replace(ask(), **{name: tmp_path / "file"})
    with pytest.raises(InputError, match=r"file cannot be written .*; name another folder"):
        run_claim(replace(stand_in, run=lambda _: pytest.fail("worked")), asked, Silent())


@pytest.mark.parametrize("missing", ["scipy", "matplotlib.figure"])
def test_what_is_missing_is_said_before_the_work(stand_in, ask, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match="is needed for this"):
        run_claim(replace(stand_in, run=lambda _: pytest.fail("worked")), ask(), Silent())


def test_without_results_there_are_none(tmp_path):
    assert read_results(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("text", "words"), [("{", "is damaged"), ("[]", "not a result"), ('{"claim": "x"}', "not a")])
def test_files_that_are_no_results_are_named(tmp_path, text, words):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(InputError, match=rf"odd\.json {words}|odd\.json is {words}"):
        read_results(tmp_path)
