import subprocess
import sys

import pytest
import torch

from alexnet.nn.native import SWITCH, kernels, kernels_for, why_not
from alexnet.nn.native.compiler import CannotCompileError


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch):
    """As in a process that has not asked yet."""
    from alexnet.nn.native.library import _load

    monkeypatch.delenv(SWITCH, raising=False)
    _load.cache_clear()
    yield
    monkeypatch.undo()
    _load.cache_clear()


def test_either_there_are_kernels_or_a_reason() -> None:
    assert (kernels() is None) == (why_not() is not None)


def test_the_switch_turns_them_off(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert kernels() is None
    assert why_not() == f"{SWITCH}=0 turns them off"


def test_who_cannot_compile_is_told_why_and_goes_on(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise CannotCompileError("there is no C++ compiler")

    monkeypatch.setattr("alexnet.nn.native.library.load_compiled", fail)
    assert kernels() is None
    assert why_not() == "there is no C++ compiler"
    assert kernels_for(torch.ones(2)) is None


@pytest.mark.skipif(kernels() is None, reason=f"no kernels here: {why_not()}")
def test_kernels_are_for_dense_numbers_of_two_dtypes_on_the_cpu() -> None:
    assert kernels_for(torch.ones(2)) is kernels()
    assert kernels_for(torch.ones(2).bfloat16()) is kernels()
    assert kernels_for(torch.ones(2).double()) is None
    assert kernels_for(torch.ones(0)) is None
    assert kernels_for(torch.ones(2, device="meta")) is None


@pytest.mark.skipif(kernels() is None, reason=f"no kernels here: {why_not()}")
@pytest.mark.skipif(sys.platform == "win32", reason="limits of memory are of Unix")
def test_memory_that_runs_out_in_a_kernel_is_an_error_and_not_the_end() -> None:
    """Every thread wants some of its own; were it to fail among them, the process would be aborted."""
    script = """
import resource, torch
from alexnet.nn.same_map import SameMapNorm
x = torch.ones(1, 32, 700, 700).contiguous(memory_format=torch.channels_last)
norm = SameMapNorm(5, 1e-3, 0.75)
norm(x[:, :, :9, :9].contiguous(memory_format=torch.channels_last))
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (150 << 20),) * 2)
try:
    norm(x)
except (MemoryError, RuntimeError) as error:
    print("caught", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "out of memory in in_same_map" in done.stdout
