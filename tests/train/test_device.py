import pytest
import torch

from alexnet.errors import InputError
from alexnet.train.device import pick_device, pick_precision

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Pretend which accelerators there are."""

    def pretend(*kinds: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in kinds)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in kinds)

    return pretend


@pytest.mark.parametrize(
    ("kinds", "expected"), [((), "cpu"), (("cuda",), "cuda"), (("mps",), "mps"), (("cuda", "mps"), "cuda")]
)
def test_auto_is_the_accelerator_where_there_is_one(machine, kinds: tuple[str, ...], expected: str) -> None:
    machine(*kinds)
    assert pick_device("auto").type == expected
    assert pick_device(expected).type == expected
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused(machine, name: str) -> None:
    machine()
    with pytest.raises(InputError, match=f"--device {name}: torch .* finds none here; use --device auto"):
        pick_device(name)


@pytest.mark.parametrize("name", ["tpu", "", "cuda:7", "CPU"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose one of auto, cpu, cuda, mps"):
        pick_device(name)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_is_bf16_only_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert pick_precision("auto", CPU) == expected
    assert pick_precision("bf16", CPU) == torch.bfloat16
    assert pick_precision("fp32", CPU) == torch.float32


@pytest.mark.parametrize("name", ["fp16", "float32", ""])
def test_an_unknown_precision_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="choose one of auto, fp32, bf16"):
        pick_precision(name, CPU)


def test_this_torch_says_what_this_cpu_can_do() -> None:
    """The names that `auto` asks for are torch's own."""
    assert pick_precision("auto", CPU) in (torch.bfloat16, torch.float32)
    assert {"avx512_bf16", "amx_bf16", "bf16"} & torch.cpu.get_capabilities().keys()
