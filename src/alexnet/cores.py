"""How many cores this process may use, which a container or `taskset` makes fewer than the machine has."""

import math
import os
import sys
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """At least one. A part of a core, as `docker --cpus=1.5` grants it, counts as one.

    `PYTHON_CPU_COUNT` sets the cores of the machine by hand from Python 3.13 on. The processes that `torchrun` starts
    on one machine share its cores.
    """
    count: int | None
    if sys.version_info >= (3, 13):
        count = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):  # Linux and some other Unixes
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count()
    sharing = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, math.ceil(min(count or 1, _granted_cores())) // max(1, int(sharing) if sharing.isdecimal() else 1))


def _granted_cores() -> float:
    """The least quota of this process's control group (of Linux, version 2) and those around it; infinite elsewhere."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:
        return math.inf
    groups = [_GROUPS / line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return min((_quota(around) for group in groups for around in (group, *group.parents)), default=math.inf)


def _quota(group: Path) -> float:
    """Of a group: `cpu.max` holds the microseconds of CPU time in a period, or the word max, and the period."""
    try:
        granted, period = (group / "cpu.max").read_text().split()
        return int(granted) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group or limit
        return math.inf
