import os
import subprocess
import sys

import pytest

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
    assert usable_cores() == expected
