import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet import cores
from alexnet.cores import usable_cores


def test_it_is_what_the_system_says() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity that can be set")
def test_cores_taken_away_from_the_process_do_not_count() -> None:
    """In a process of its own, which gives up all cores but one."""
    program = (
        "import os; from alexnet.cores import usable_cores; "
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(("counted", "expected"), [(6, 6), (None, 1)])
def test_without_affinity_all_cores_count_and_one_at_least(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    """macOS and Windows."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    monkeypatch.setattr(os, "process_cpu_count", lambda: counted, raising=False)
    monkeypatch.setattr(cores, "_OWN_GROUP", Path("nowhere"))
    assert usable_cores() == expected


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({}, 64),
        ({"": "max 100000"}, 64),
        ({"": "150000 100000"}, 2),
        ({"": "1000 100000"}, 1),
        ({"": "max 100000", "batch": "400000 100000", "batch/job": "max 100000"}, 4),
        ({"batch": "9900000 100000", "elsewhere": "100000 100000"}, 64),
    ],
)
def test_a_container_may_use_what_its_groups_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quotas: dict[str, str], expected: int
) -> None:
    for group, quota in quotas.items():
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(f"{quota}\n")
    (tmp_path / "own").write_text("4:memory:/other\n0::/batch/job\n")
    monkeypatch.setattr(cores, "_GROUPS", tmp_path)
    monkeypatch.setattr(cores, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert usable_cores() == expected


@pytest.mark.parametrize(("processes", "expected"), [("1", 8), ("2", 4), ("3", 2), ("16", 1)])
def test_processes_of_one_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, processes: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(cores, "_OWN_GROUP", Path("nowhere"))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert usable_cores() == expected
