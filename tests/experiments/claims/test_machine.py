import pytest
import torch

from alexnet.errors import InputError
from alexnet.experiments.claims.machine import describe_machine, precision_of


def test_a_gpu_is_named_where_it_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    for device in ("auto", "cuda"):
        assert describe_machine(device)["processor"] == "H100"
        assert describe_machine(device)["device"] == "cuda"
        assert precision_of(device) == "bf16"
    assert describe_machine("cpu")["processor"] not in ("", "H100")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="finds none here"):
        describe_machine("cuda")
