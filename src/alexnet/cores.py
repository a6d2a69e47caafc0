"""How many cores this process may use, which a container or `taskset` makes fewer than the machine has."""

import os
import sys


def usable_cores() -> int:
    """At least one. `PYTHON_CPU_COUNT` sets it by hand from Python 3.13 on."""
    count: int | None
    if sys.version_info >= (3, 13):
        count = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):  # Linux and some other Unixes
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    return count or 1
