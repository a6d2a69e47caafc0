"""What TensorBoard's own reader finds in the event files of a run."""

import sys
from pathlib import Path

import pytest

from alexnet.train.events import EventLog
from alexnet.train.observer import Silent

TRAIN = {"step": 20, "epoch": 1, "split": "train", "loss": 2.25, "top1_error": 0.5, "lr": 0.01}
VAL = {"step": 23, "epoch": 1, "split": "val", "views": "center", "loss": 2.0, "top1_error": 0.25, "top5_error": None}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by name, as TensorBoard shows them."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}


def test_every_measured_value_is_a_scalar_by_step(tmp_path: Path) -> None:
    log = EventLog(tmp_path, Silent())
    log.add(TRAIN)
    log.add(VAL)
    assert scalars(tmp_path) == {
        "train/loss": [(20, 2.25)],
        "train/top1_error": [(20, 0.5)],
        "train/lr": [(20, pytest.approx(0.01))],
        "val/loss": [(23, 2.0)],
        "val/top1_error": [(23, 0.25)],
    }


def test_a_resumed_run_hides_what_it_measures_again(tmp_path: Path) -> None:
    for step, values in ((0, [1.0, 2.0, 3.0]), (2, [4.0])):
        log = EventLog(tmp_path, Silent(), step=step)
        for number, value in enumerate(values, step + 1):
            log.add(TRAIN | {"step": number, "loss": value})
    assert scalars(tmp_path)["train/loss"] == [(1, 1.0), (2, 2.0), (3, 4.0)]


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    log = EventLog(tmp_path, Silent())
    log.add(TRAIN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_a_failure_is_said_once_and_ends_the_events_alone(
    tmp_path: Path, watching, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    pytest.importorskip("tensorboard")
    observer = watching()
    folder = tmp_path / "gone" if when == "at the start" else tmp_path
    log = EventLog(folder, observer)
    if when == "later":
        log.add(TRAIN)
        tmp_path.rename(tmp_path.with_name("elsewhere"))
    log.add(TRAIN)
    log.add(VAL)
    [line] = observer.news
    assert line.startswith("no more events for TensorBoard (")
    assert line.endswith("metrics.jsonl has all measurements")
