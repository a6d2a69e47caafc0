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
