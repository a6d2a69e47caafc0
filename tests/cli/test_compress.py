from pathlib import Path

import pytest


def test_json_says_what_it_cost(run, weights_file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    arguments = ("--data", photos, "--mib", "0.01", "--epochs", 2, "--batch-size", 4, "--limit-train-batches", 2)
    status, shown, _ = run("compress", weights_file, out, *arguments, "--json")
    assert status == 0
    import json

    found = json.loads(shown)
    assert (found["weights"], found["out"], found["split"]) == (str(weights_file), str(out), "val")
    assert [stage["name"] for stage in found["stages"]] == ["original", "pruned", "shared", "coded"]
    assert found["stages"][-1]["bytes"] == out.stat().st_size
    assert run("evaluate", photos, "--weights", out, "--json").json["top1_error"] == pytest.approx(
        found["stages"][-1]["top1_error"], abs=0.1
    )


def test_the_table_shows_every_stage(run, weights_file: Path, tmp_path: Path) -> None:
    status, shown, _ = run("compress", weights_file, tmp_path / "small.safetensors")
    assert status == 0
    assert [line.split()[0] for line in shown.splitlines()[1:3]] == ["original", "coded"]
    assert "of the weights are left" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "digits"], "has not the classes of the weights"),
        (["--data", "nowhere"], "no such folder"),
        (["--mib", "0"], "0.01"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, weights_file: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    finished = run("compress", weights_file, tmp_path / "small.safetensors", *arguments)
    assert finished.status == 2
    assert words in finished.error
