"""Every kind of corruption of bench/verify_corruptions.py, on small weights; there they are real ones."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from alexnet.errors import WeightsError
from alexnet.verify import verify
from alexnet.weights import Weights, make_probe, read_weights, save_weights
from alexnet.weights.probe import with_errors

ROOT = Path(__file__).resolve().parent.parent


def load_bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_corruptions", ROOT / "bench/verify_corruptions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


bench = load_bench()


@pytest.fixture
def whole(probed_weights: Weights, tmp_path: Path) -> Path:
    """As training saves them: the errors are measured after the probe is made."""
    weights = replace(probed_weights, recipe={"mean": "image"})
    assert weights.probe is not None
    probe = make_probe(weights, np.asarray(weights.probe["logits"], np.float32))
    errors = [{"data": "x", "split": "val", "views": "ten", "top1_error": 0.5, "top5_error": None}]
    save_weights(tmp_path / "whole.safetensors", with_errors(replace(weights, probe=probe), errors))
    return tmp_path / "whole.safetensors"


@pytest.fixture
def other(probed_weights: Weights) -> dict[str, np.ndarray]:
    """As a step of training would leave them."""
    rng = np.random.default_rng(1)
    return {
        key: (tensor + rng.normal(0, 0.01, tensor.shape)).astype(np.float32)
        for key, tensor in probed_weights.tensors.items()
    }


@pytest.mark.parametrize("corruption", bench.CORRUPTIONS, ids=lambda corruption: corruption.__name__)
def test_every_corruption_is_caught_and_named_in_one_line(corruption, whole: Path, other, tmp_path: Path) -> None:
    for seed in range(4):
        spoiled = tmp_path / "spoiled.safetensors"
        words = bench.spoil(corruption, whole, other, seed, spoiled)
        with pytest.raises(WeightsError) as caught:
            verify(spoiled)
        message = str(caught.value)
        assert message.startswith(str(spoiled))
        assert "\n" not in message
        assert re.search(words, message), message


def test_honest_weights_pass(whole: Path, tmp_path: Path) -> None:
    """As they are, in a run folder, and saved again."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    save_weights(tmp_path / "run/last.safetensors", read_weights(whole))
    for where in (whole, str(whole), tmp_path / "run"):
        verified = verify(where)
        assert 0 <= verified.largest_difference <= verified.tolerance / 10


@pytest.mark.parametrize("threads", [1, 2])
def test_honest_weights_pass_on_any_number_of_threads(whole: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    verify(whole)


def test_weights_without_a_probe_cannot_be_verified(tiny_weights: Weights, tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", tiny_weights)
    with pytest.raises(WeightsError, match="saved without a probe"):
        verify(tmp_path / "w.safetensors")
    save_weights(tmp_path / "w.safetensors", replace(tiny_weights, probe={"logits": [1.0, 2.0]}))
    with pytest.raises(WeightsError, match="its probe has 2 logits for 6 classes"):
        verify(tmp_path / "w.safetensors")


@pytest.mark.parametrize("crc32", [{}, {"classes": "00000000"}])
def test_all_parts_need_a_checksum_where_some_have(probed_weights: Weights, tmp_path: Path, crc32) -> None:
    assert probed_weights.probe is not None
    save_weights(tmp_path / "w.safetensors", replace(probed_weights, probe={**probed_weights.probe, "crc32": crc32}))
    with pytest.raises(WeightsError, match="has no checksum of "):
        verify(tmp_path / "w.safetensors")


def test_checksums_of_nothing_are_refused(probed_weights: Weights, tmp_path: Path) -> None:
    assert probed_weights.probe is not None
    for name in ("odd", "preprocessing.mean_image"):
        crc32 = {**probed_weights.probe["crc32"], name: "00000000"}
        odd = replace(probed_weights, probe={**probed_weights.probe, "crc32": crc32})
        save_weights(tmp_path / "w.safetensors", odd)
        with pytest.raises(WeightsError, match=f"{name} is "):
            verify(tmp_path / "w.safetensors")


def test_weights_without_checksums_are_verified_by_their_logits(probed_weights: Weights, tmp_path: Path) -> None:
    assert probed_weights.probe is not None
    save_weights(tmp_path / "w.safetensors", replace(probed_weights, probe={"logits": probed_weights.probe["logits"]}))
    assert not verify(tmp_path / "w.safetensors").checksummed


def test_logits_that_overflow_are_not_those_that_were_stored(probed_weights: Weights, tmp_path: Path) -> None:
    for key in probed_weights.tensors:
        probed_weights.tensors[key] = np.full_like(probed_weights.tensors[key], 1e30)
    save_weights(tmp_path / "w.safetensors", probed_weights)
    with pytest.raises(WeightsError, match="not as saved"):
        verify(tmp_path / "w.safetensors")
