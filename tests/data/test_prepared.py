import json
import os
from pathlib import Path

import pytest

from alexnet.data.datasets import open_data
from alexnet.data.prepared import PREPARED, SCRATCH, STATISTICS, check_finished, find_statistics
from alexnet.data.shards import write_shard
from alexnet.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train-0.tar", "train-1.tar", "val-0.tar"):
        (tmp_path / name).touch()
    (tmp_path / PREPARED).write_text(json.dumps({"shards": {"train-0.tar": "one", "val-0.tar": "two"}}))
    (tmp_path / STATISTICS).touch()
    return tmp_path


def test_statistics_belong_to_just_their_training_shards(folder: Path) -> None:
    assert find_statistics(folder, {"train-0.tar": "one"}) == folder / STATISTICS
    for shards in ({}, {"train-0.tar": "other"}, {"train-0.tar": "one", "train-1.tar": "two"}):
        assert find_statistics(folder, shards) is None


def test_statistics_are_not_those_of_shards_that_changed_afterwards(folder: Path) -> None:
    later = (folder / PREPARED).stat().st_mtime_ns + 10**9
    os.utime(folder / "val-0.tar", ns=(later, later))
    assert find_statistics(folder, {"train-0.tar": "one"})
    os.utime(folder / "train-0.tar", ns=(later, later))
    assert find_statistics(folder, {"train-0.tar": "one"}) is None


def test_a_report_of_another_kind_has_no_statistics(folder: Path) -> None:
    for text in ("", "[]", "{}", '{"shards": 1}'):
        (folder / PREPARED).write_text(text)
        assert find_statistics(folder, {"train-0.tar": "one"}) is None


def test_an_unfinished_folder_is_refused(tmp_path: Path, encoded) -> None:
    write_shard(tmp_path / "train-00000.tar", [("a", encoded(), "png", 0), ("b", encoded(), "png", 1)])
    check_finished(tmp_path)
    (tmp_path / SCRATCH).mkdir()
    with pytest.raises(DataError, match="is not finished; give its alexnet prepare command again"):
        open_data(tmp_path)
