"""In processes of their own: what the C library is told holds until a process ends."""

import os
import platform
import subprocess
import sys

import pytest

from alexnet.memory import SWITCH, keep_memory

BLOCK_MIB = 96

# Whether memory is kept, and how much of a block of BLOCK_MIB the process still holds after it was freed.
PROGRAM = f"""
import numpy as np
from pathlib import Path
from alexnet.memory import keep_memory
def resident_mib():
    return next(int(line.split()[1]) >> 10 for line in Path("/proc/self/status").open() if line.startswith("VmRSS"))
kept, before = keep_memory(), resident_mib()
block = np.ones({BLOCK_MIB} << 20, np.uint8)
assert resident_mib() - before >= {BLOCK_MIB - 8}
del block
print(kept, resident_mib() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize(("switch", "kept"), [(None, True), ("1", True), ("0", False)])
def test_freed_memory_stays_unless_it_is_turned_off(switch: str | None, kept: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != SWITCH}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | ({} if switch is None else {SWITCH: switch}),
        capture_output=True,
        text=True,
        check=True,
    )
    answer, still_held = done.stdout.split()
    assert answer == str(kept)
    assert (int(still_held) >= BLOCK_MIB - 8) == kept


@pytest.mark.parametrize("name", ["", "musl"])
def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: (name, ""))
    monkeypatch.setattr("ctypes.CDLL", lambda *_: pytest.fail("the C library was asked"))
    assert keep_memory() is False


def test_a_c_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Musl behind a layer for programs of glibc."""
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.38"))
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_memory() is False
