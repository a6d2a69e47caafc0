from pathlib import Path

import numpy as np
import pytest

from alexnet.evaluate import evaluate
from alexnet.experiments.claims import answers as module
from alexnet.experiments.claims.answers import answers_of, evenly, wrong_answers
from alexnet.experiments.claims.training import Run, trained
from alexnet.predict import load


@pytest.fixture
def study(stand_in, open_on_digits):
    return open_on_digits(stand_in)


@pytest.mark.parametrize("views", ["center", "ten"])
def test_the_means_are_the_errors_that_evaluate_measures(study, digits_runs, views):
    classifiers = [load(run, "torch", device="cpu") for run in digits_runs]
    split, classes = study.dataset.split("test"), study.dataset.classes
    wrong = wrong_answers(classifiers, split, classes, study, views=views)
    measured = evaluate(classifiers, split, classes, views=views)
    assert wrong.top1.mean() == pytest.approx(measured.top1_error, abs=1e-9)
    assert wrong.top5.mean() == pytest.approx(measured.top5_error, abs=1e-9)
    assert wrong.indices.tolist() == list(range(len(split)))


def test_chosen_images_answer_as_they_do_among_all(study, digits_runs):
    classifier = load(digits_runs[0], "torch", device="cpu")
    split, chosen = study.dataset.split("test"), np.array([3, 50, 300])
    every, some = (
        wrong_answers([classifier], split, study.dataset.classes, study, indices=indices) for indices in (None, chosen)
    )
    assert some.indices.tolist() == chosen.tolist()
    assert some.top1.tolist() == every.top1[chosen].tolist()


def test_the_answers_of_a_run_are_computed_once_and_kept(study, monkeypatch):
    monkeypatch.setattr(module, "TRAINING_IMAGES", 100)
    folder = trained(Run(net="digits", epochs=1, seed=0), study)
    first = answers_of(folder, study)
    assert (len(first.held_out.top1), len(first.train.top1)) == (359, 100)
    monkeypatch.setattr(module, "wrong_answers", lambda *_, **__: pytest.fail("computed again"))
    again = answers_of(folder, study)
    assert again.train.top5.tolist() == first.train.top5.tolist()
    assert again.held_out.indices.tolist() == first.held_out.indices.tolist()


@pytest.mark.parametrize("kept", [0, 30, 300])
def test_damaged_answers_are_computed_again(study, digits_runs, monkeypatch, kept, tmp_path):
    made = []
    answers = answers_of(Path(digits_runs[0]), study)
    monkeypatch.setattr(module, "_measure", lambda *_: made.append(1) or answers)
    (tmp_path / "answers.npz").write_bytes((Path(digits_runs[0]) / "answers.npz").read_bytes()[:kept])
    news = []
    monkeypatch.setattr(type(study.observer), "say", lambda _, line: news.append(line))
    assert answers_of(tmp_path, study).held_out.top1.tolist() == answers.held_out.top1.tolist()
    assert made == [1]
    assert "the answers are computed again" in news[0]
    assert answers_of(tmp_path, study).train.top5.tolist() == answers.train.top5.tolist()
    assert made == [1]


def test_places_are_spread_evenly_and_never_twice():
    assert evenly(5, 100).tolist() == [0, 1, 2, 3, 4]
    spread = evenly(1000, 7)
    assert len(set(spread.tolist())) == 7
    assert (spread[0], spread[-1]) == (0, 999)
    assert np.ptp(np.diff(spread)) <= 1
