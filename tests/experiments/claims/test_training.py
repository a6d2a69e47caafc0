import json
from dataclasses import replace

import pytest

from alexnet.data.subset import subset
from alexnet.errors import InputError
from alexnet.experiments.claims import training
from alexnet.experiments.claims.training import FINISHED, Run, folder_of, trained


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
    assert names[0] == "digits_1-epochs_2-steps_seed-0"
    assert names[-1] == "digits_1-epochs_2-steps_from-parent_seed-0_seed-0"


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
