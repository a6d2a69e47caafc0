from pathlib import Path

import pytest

from alexnet.train.log import METRICS, MetricsLog, read_metrics

RECORDS = [
    {"step": 20, "split": "train", "loss": 2.25},
    {"step": 23, "split": "train", "loss": 2.0},
    {"step": 23, "split": "val", "top5_error": None},
    {"step": 40, "split": "train", "loss": 1.5},
]


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


@pytest.mark.parametrize(("step", "kept"), [(0, 0), (19, 0), (20, 1), (23, 3), (39, 3), (40, 4), (99, 4)])
def test_a_resumed_run_drops_what_it_will_measure_again(written: Path, step: int, kept: int) -> None:
    MetricsLog(written, keep_until_step=step).add({"step": 99})
    assert read_metrics(written) == [*RECORDS[:kept], {"step": 99}]


@pytest.mark.parametrize("rest", ['{"step": 60, "spl', "{", '{"step": 60, "loss": 1.0'])
def test_a_line_cut_by_a_crash_is_left_out(written: Path, rest: str) -> None:
    with (written / METRICS).open("a") as file:
        file.write(rest)
    assert read_metrics(written) == RECORDS
    MetricsLog(written, keep_until_step=40).add({"step": 60})  # and does not spoil the line after it
    assert read_metrics(written) == [*RECORDS, {"step": 60}]
