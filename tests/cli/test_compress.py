import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from alexnet.train import epochs
from alexnet.train.epochs import train_epoch

SHORT = ("--mib", "0.01", "--epochs", 2, "--batch-size", 4, "--limit-train-batches", 2)


def test_json_says_what_it_cost(run, weights_file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    status, shown, _ = run("compress", weights_file, out, "--data", photos, *SHORT, "--json")
    assert status == 0
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
    assert shown.splitlines()[0].endswith("errors not measured: no --data")
    assert "of the weights are left" in shown.splitlines()[-1]


def test_ctrl_c_says_how_to_go_on_and_only_that_goes_on(
    run, weights_file: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small.safetensors"
    command = ("compress", weights_file, out, "--data", photos, *SHORT)
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "train_epoch", interrupted)
        status, shown, news = run(*command)
    assert (status, shown) == (130, "")
    assert news.splitlines()[-3:] == [
        "stopped; saved at step 1, to go on repeat what began the run, with --resume",
        f"{out} is not made yet; what was done is kept, add --resume to the same command to go on",
        "alexnet: interrupted",
    ]
    for changed, words in (
        ((), "go on with --resume"),
        (("--resume", "--mib", 0.02), "was begun with --mib 0.01, not 0.02; give the same again"),
        (("--resume", "--epochs", 3), "was begun with --epochs 2, not 3; give the same again"),
    ):
        refused = run(*command, *changed)
        assert refused.status == 2
        assert words in refused.error
    assert run(*command, "--resume").status == 0
    assert out.exists()


def test_a_rate_too_high_is_said_and_a_lower_one_does(run, weights_file: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    command = ("compress", weights_file, out, "--data", photos, *SHORT, "--lr")
    status, _, news = run(*command, 1e30)
    assert status == 1
    assert news.splitlines()[-1].endswith("begin another run with a lower --lr")
    assert "begun for small.safetensors; go on with --resume, or delete it" in run(*command, 1e-4).error
    shutil.rmtree(tmp_path / "small.safetensors.runs")
    assert run(*command, 1e-4).status == 0


def interrupted(*arguments: Any, **settings: Any) -> None:
    signal.raise_signal(signal.SIGINT)
    train_epoch(*arguments, **settings)


@pytest.mark.parametrize("given", [("--mib", 1), ("--epochs", 3), ("--limit-train-batches", 3), ("--resume",)])
def test_without_data_nothing_can_be_said_of_training(run, weights_file: Path, tmp_path: Path, given: tuple) -> None:
    finished = run("compress", weights_file, tmp_path / "small.safetensors", *given)
    assert finished.status == 2
    assert f"{given[0]} is for training, and there is nothing to train on; add --data" in finished.error


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is a folder; name a file in it"),
        ("small.pth", "end its name in .safetensors"),
        ("tiny.safetensors", "write elsewhere"),
    ],
)
def test_a_destination_that_will_not_do_is_refused_before_any_work(
    run, weights_file: Path, photos: Path, tmp_path: Path, name: str, words: str
) -> None:
    before = weights_file.read_bytes()
    finished = run("compress", weights_file, tmp_path / name, "--data", photos)
    assert finished.status == 2
    assert words in finished.error
    assert weights_file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.safetensors", "photos"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "digits"], "has not the classes of the weights"),
        (["--data", "nowhere"], "no such folder"),
        (["--mib", "0"], "0.01"),
        (["--data", "digits", "--mib", "inf"], "--mib is a size above 0"),
        (["--data", "digits", "--mib", "nan"], "--mib"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run, weights_file: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    finished = run("compress", weights_file, tmp_path / "small.safetensors", *arguments)
    assert finished.status == 2
    assert words in finished.error
