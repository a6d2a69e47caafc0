import json
from dataclasses import replace

import pytest

from alexnet.data.subset import subset
from alexnet.errors import DivergedError, InputError, RunError
from alexnet.experiments.claims import training
from alexnet.experiments.claims.machine import precision_of
from alexnet.experiments.claims.training import DIVERGED, FINISHED, Run, facts_of, folder_of, trained


@pytest.fixture
def study(stand_in, open_on_digits):
    return open_on_digits(stand_in)


RUN = Run(net="digits", epochs=1, seed=0)


def test_a_folder_is_called_after_all_that_decides_what_comes_out(study):
    runs = [
        RUN,
        replace(RUN, net="digits+no-lrn"),
        replace(RUN, epochs=2),
        replace(RUN, seed=1),
        replace(RUN, recipe="digits+no-decay"),
        replace(RUN, lr=0.01),
        replace(RUN, batch_size=7),
        replace(RUN, weights="runs/parent_seed-0/last.safetensors"),
    ]
    names = [folder_of(run, study, study.dataset).name for run in runs]
    assert len(set(names)) == len(runs)
    precision = precision_of("cpu")
    assert names[0] == f"digits_1-epochs_2-steps_{precision}_seed-0"
    assert names[-1] == f"digits_1-epochs_2-steps_from-parent_seed-0_{precision}_seed-0"


def test_runs_of_another_precision_have_another_folder(study, monkeypatch):
    folders = []
    for precision in ("fp32", "bf16"):
        monkeypatch.setattr(training, "precision_of", lambda _, precision=precision: precision)
        folders.append(folder_of(RUN, study, study.dataset))
    assert folders[0] != folders[1]


def test_a_run_keeps_the_machine_that_it_ended_on(study, monkeypatch):
    folder = trained(RUN, study)
    here = facts_of(folder)
    monkeypatch.setattr(training, "describe_machine", lambda _: {"processor": "another", "device": "cuda"})
    assert facts_of(trained(RUN, study)) == here
    assert here["machine"]["device"] == "cpu"
    assert here["machine"]["processor"]
    assert (here["recipe"], here["batch_size"], here["precision"]) == ("digits", 64, precision_of("cpu"))


@pytest.mark.parametrize("name", [FINISHED, "run.json"])
def test_a_damaged_file_of_a_run_is_named(study, name):
    folder = trained(RUN, study)
    (folder / name).write_text("")
    with pytest.raises(InputError, match=rf"{name} is damaged .*; delete .*, and it is trained again"):
        facts_of(folder)


def test_a_run_that_diverged_is_not_tried_again_but_one_that_failed_otherwise_is(study, monkeypatch):
    real = training._train

    def fail(error):
        def train(run, study, data, folder, *, resume):
            real(run, study, data, folder, resume=resume)
            (folder / "checkpoint.pt").unlink()
            raise error

        return train

    monkeypatch.setattr(training, "_train", fail(RunError("a batch does not fit the memory")))
    with pytest.raises(RunError, match="memory"):
        trained(RUN, study)
    assert not (folder_of(RUN, study, study.dataset) / DIVERGED).exists()
    other = replace(RUN, seed=1)
    monkeypatch.setattr(training, "_train", fail(DivergedError("the loss is nan at step 1")))
    with pytest.raises(DivergedError, match="nan at step 1"):
        trained(other, study)
    monkeypatch.setattr(training, "_train", lambda *_, **__: pytest.fail("trained again"))
    with pytest.raises(DivergedError, match="diverged when it was tried; delete it"):
        trained(other, study)
    assert facts_of(folder_of(other, study, study.dataset))["machine"]["device"] == "cpu"


def test_a_finished_run_is_kept_and_not_run_again(study, monkeypatch):
    folder = trained(RUN, study)
    kept = json.loads((folder / "run.json").read_text())["options"]
    assert (kept["net"], kept["epochs"], kept["seed"], kept["limit_train_batches"]) == ("digits", 1, 0, 2)
    assert {"last.safetensors", "metrics.jsonl", FINISHED} <= {path.name for path in folder.iterdir()}
    assert not (folder / "checkpoint.pt").exists()
    monkeypatch.setattr(training, "_train", lambda *_, **__: pytest.fail("trained again"))
    assert trained(RUN, study) == folder


def test_a_run_that_was_stopped_goes_on_only_if_asked_to(study, monkeypatch):
    """Stopped after its first epoch, it ends as one that was never stopped."""
    run = replace(RUN, epochs=2)
    whole = (trained(run, study) / "last.safetensors").read_bytes()
    other = replace(study, asked=replace(study.asked, runs=study.asked.runs / "other"))

    class Stopping(type(study.observer)):
        def say(self, line):
            if line.startswith("epoch 1"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(run, replace(other, observer=Stopping()))
    with pytest.raises(InputError, match="holds a run that was stopped; go on with --resume"):
        trained(run, other)
    folder = trained(run, replace(other, asked=replace(other.asked, resume=True)))
    assert (folder / "last.safetensors").read_bytes() == whole


def test_a_finished_run_on_other_data_of_that_name_is_refused(study):
    trained(RUN, study)
    impostor = replace(subset(study.dataset, range(9)), name="digits")
    with pytest.raises(InputError, match="was begun on other data"):
        trained(RUN, study, impostor)
