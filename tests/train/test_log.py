from pathlib import Path

import pytest

from alexnet.train.log import METRICS, MetricsLog, read_metrics, training_errors

RECORDS = [
    {"step": 20, "epoch": 1, "split": "train", "loss": 2.25},
    {"step": 23, "epoch": 1, "split": "train", "loss": 2.0},
    {"step": 23, "epoch": 1, "split": "val", "top5_error": None},
    {"step": 40, "epoch": 2, "split": "train", "loss": 1.5},
]


NEXT = {"step": 99, "epoch": 3, "split": "train"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    log = MetricsLog(tmp_path)
    for record in RECORDS:
        log.add(record)
    return tmp_path


def test_every_record_is_one_line_and_comes_back(written: Path) -> None:
    assert read_metrics(written) == RECORDS
    assert len((written / METRICS).read_text().splitlines()) == len(RECORDS)


def test_a_run_without_measurements_has_none(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "epochs", "kept"),
    [(0, 0, 0), (19, 0, 0), (20, 0, 1), (23, 1, 3), (39, 1, 3), (40, 1, 4), (99, 2, 4)],
)
def test_a_resumed_run_drops_what_it_will_measure_again(written: Path, step: int, epochs: int, kept: int) -> None:
    MetricsLog(written, step=step, epochs=epochs).add(NEXT)
    assert read_metrics(written) == [*RECORDS[:kept], NEXT]


def test_errors_of_an_epoch_that_was_not_saved_after_them_are_measured_again(written: Path) -> None:
    MetricsLog(written, step=23, epochs=0)
    assert read_metrics(written) == RECORDS[:2]


@pytest.mark.parametrize("rest", ['{"step": 60, "spl', "{", '{"step": 60, "loss": 1.0', "[1]", '{"a": 1}', "\ufffd"])
def test_a_line_cut_by_a_crash_is_left_out(written: Path, rest: str) -> None:
    with (written / METRICS).open("a") as file:
        file.write(rest)
    assert read_metrics(written) == RECORDS
    MetricsLog(written, step=40, epochs=1).add(NEXT)  # and does not spoil the line after it
    assert read_metrics(written) == [*RECORDS, NEXT]


def test_running_errors_are_means_of_each_epoch_of_training() -> None:
    errors = [(1, "train", 0.8), (1, "train", 0.6), (1, "val", 0.1), (2, "train", 0.4)]
    records = [{"epoch": epoch, "split": split, "top1_error": error} for epoch, split, error in errors]
    assert training_errors(records) == {1: pytest.approx(0.7), 2: pytest.approx(0.4)}
    assert training_errors([]) == {}
