from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.weights import Weights, save_weights


@pytest.fixture
def probed_file(tmp_path: Path, probed_weights: Weights) -> Path:
    save_weights(tmp_path / "probed.safetensors", probed_weights)
    return tmp_path / "probed.safetensors"


def test_honest_weights_are_one_line_or_one_object(run, probed_file: Path) -> None:
    status, shown, errors = run("verify", probed_file)
    assert (status, errors, shown.count("\n")) == (0, "", 1)
    assert shown.startswith(f"{probed_file}: as saved")
    found = run("verify", probed_file, "--json").json
    assert list(found) == ["weights", "verified", "largest_difference", "tolerance", "checksummed"]
    assert (found["weights"], found["verified"], found["checksummed"]) == (str(probed_file), True, True)
    assert found["largest_difference"] <= found["tolerance"]


def test_weights_without_checksums_are_verified_by_their_logits_only(
    run, probed_weights: Weights, probed_file: Path
) -> None:
    assert probed_weights.probe is not None
    save_weights(probed_file, replace(probed_weights, probe={"logits": probed_weights.probe["logits"]}))
    assert "as saved, by its logits only (saved without checksums)" in run("verify", probed_file).stdout
    assert run("verify", probed_file, "--json").json["checksummed"] is False


def test_spoiled_weights_are_one_line_and_exit_2(run, probed_weights: Weights, probed_file: Path) -> None:
    tensors = probed_weights.tensors | {"conv1.weight": np.flip(probed_weights.tensors["conv1.weight"], 1)}
    save_weights(probed_file, replace(probed_weights, tensors=tensors))
    for arguments in ((), ("--json",)):
        finished = run("verify", probed_file, *arguments)
        assert finished.status == 2
        assert "conv1.weight is in BGR order" in finished.error


def test_what_cannot_be_verified_is_one_line(run, weights_file: Path, tmp_path: Path) -> None:
    for path, words in ((weights_file, "without a probe"), (tmp_path / "nothing", "no weights at")):
        finished = run("verify", path, "--json")
        assert finished.status == 2
        assert words in finished.error
