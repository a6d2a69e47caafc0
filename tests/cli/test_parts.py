import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from time import monotonic, sleep

import numpy as np
import pytest

from alexnet.data.tables import read_npz_rows
from alexnet.parts.job import Part

SMALL = ("--images-per-part", "5", "--batch-size", "2", "--workers", "1")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "parts"


def start(*arguments: str | Path, rank: int, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "alexnet", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def paths_in(out: Path) -> list[str]:
    return [str(path) for part in sorted(out.glob("*.npz")) for path in np.load(part)["paths"]]


def test_features_in_parts_print_the_published_keys(run, photos: Path, weights_file: Path, out: Path) -> None:
    arguments = ("features", photos, "--weights", weights_file, "--layer", "fc3", "--out", out, *SMALL)
    shown = run(*arguments, "--json").json
    assert list(shown) == ["weights", "out", "layers", "images", "errors", "images_per_second", "parts"]
    assert (shown["layers"], shown["images"], shown["parts"]) == (
        {"fc3": [24, 16]},
        24,
        {"made": 5, "done": 5, "all": 5},
    )
    again = run(*arguments, "--json").json
    assert (again["images"], again["images_per_second"]) == (24, None)
    assert again["parts"] == {"made": 0, "done": 5, "all": 5}
    assert run(*arguments).stdout.endswith("parts: 5 of 5 parts are there, 0 made now\n")


def test_predictions_in_parts_print_the_published_keys(run, photos: Path, weights_file: Path, out: Path) -> None:
    shown = run("predict", photos, "--weights", weights_file, "--out", out, "--split", "val", *SMALL, "--json").json
    assert list(shown) == ["weights", "engine", "out", "images", "errors", "images_per_second", "parts"]
    assert (shown["images"], shown["parts"]) == (12, {"made": 3, "done": 3, "all": 3})
    assert len(paths_in(out)) == 12


def test_shards_are_predicted_as_their_images_are(run, cut_shard, weights_file: Path, out: Path) -> None:
    shard = cut_shard(".tar", 1)
    shown = run("predict", shard, "--weights", weights_file, "--json").json
    assert [each["path"] for each in shown["predictions"]] == [f"pictures.tar/{number:03d}.png" for number in range(12)]
    run("predict", shard, "--weights", weights_file, "--out", out, *SMALL)
    index = np.concatenate([np.load(part)["top_index"] for part in sorted(out.glob("*.npz"))])
    assert index.tolist() == [[top["index"] for top in each["top"]] for each in shown["predictions"]]


def test_an_evaluation_in_parts_is_that_of_one_pass(
    run, photos: Path, weights_file: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("evaluate", photos, "--weights", weights_file, "--split", "train", "--batch-size", "4", "--json")
    once = run(*arguments).json
    cut = ("--out", out, "--images-per-part", "4")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    early = run(*arguments, *cut).json
    assert (early["top1_error"], early["split"], early["parts"]) == (None, "train", {"made": 2, "done": 2, "all": 3})
    assert run(*arguments[:-1], *cut).stdout.splitlines() == [
        f"{out}: 2 of 3 parts are there, 0 made now",
        "once all are there, the same command without RANK and WORLD_SIZE sums up",
    ]
    monkeypatch.setenv("RANK", "1")
    assert run(*arguments, *cut) == (0, "", "")
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    late = run(*arguments, *cut).json
    assert list(late) == [*once, "out", "parts"]
    for name in ("top1_error", "top5_error", "images", "views", "split"):
        assert late[name] == once[name]
    assert late["loss"] == pytest.approx(once["loss"], rel=1e-12)
    assert late["parts"] == {"made": 0, "done": 3, "all": 3}


def test_under_torchrun_the_first_prints_the_errors_of_all(
    run, photos: Path, weights_file: Path, tmp_path: Path, out: Path
) -> None:
    """Twice at once: divided by batches, and in parts."""
    (photos / "train/red/1.png").write_text("words")
    arguments = ("evaluate", photos, "--weights", weights_file, "--split", "train", "--batch-size", "4", "--json")
    once = json.loads(run(*arguments).stdout)
    for more in ((), ("--out", str(out), "--images-per-part", "4")):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [*command, "-m", "alexnet", *map(str, arguments), *more], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        both = json.loads(done.stdout)
        for name in ("top1_error", "top5_error", "images", "views", "split"):
            assert both[name] == once[name]
        assert both["loss"] == pytest.approx(once["loss"], rel=1e-12)
        assert done.stderr.count("left out: ") == 1
    assert both["parts"]["done"] == 3


def test_two_processes_one_killed_make_every_image_once(photos: Path, weights_file: Path, out: Path) -> None:
    arguments = (
        "features",
        photos,
        "--weights",
        weights_file,
        "--layer",
        "fc3",
        "--out",
        out,
        "--images-per-part",
        "1",
    )
    arguments = (*arguments, "--json")
    first, second = (start(*arguments, rank=rank, count=2) for rank in range(2))
    patience = monotonic() + 120
    while not list(out.glob("part-*1-of*")) and monotonic() < patience:
        sleep(0.005)
    second.send_signal(SIGKILL)
    second.communicate()
    shown, errors = first.communicate()
    assert (first.returncode, json.loads(shown)["parts"]["made"]) == (0, 12), errors
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert 12 < len(before) <= 24
    again = start(*arguments, rank=1, count=2)
    assert again.communicate() == ("", "")
    assert again.returncode == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(paths_in(out)) == len(set(paths_in(out))) == 24
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert sum(read_npz_rows(path).images for path in out.glob("*.npz")) == 24


def test_damaged_images_end_with_2_when_the_job_is_done(
    run, photos: Path, weights_file: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before: torchrun ends all processes when one fails."""
    (photos / "train/red/1.png").write_text("words")
    arguments = ("features", photos, "--weights", weights_file, "--layer", "fc3", "--out", out, *SMALL, "--json")
    monkeypatch.setenv("WORLD_SIZE", "2")
    statuses = []
    for rank in ("0", "1", "1", "0"):
        monkeypatch.setenv("RANK", rank)
        finished = run(*arguments)
        statuses.append(finished.status)
        assert bool(finished.stdout) == (rank == "0")
    assert statuses == [0, 2, 0, 2]
    assert sum(len(read_npz_rows(path).errors) for path in out.glob("*.npz")) == 1


def test_every_mistake_is_one_line(
    run, photos: Path, weights_file: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("words")
    file, weights = tmp_path / "f.npz", ("--weights", weights_file)
    fc3 = (*weights, "--layer", "fc3")
    mistakes: dict[str, tuple[str | Path, ...]] = {
        "holds something else (thesis.txt)": ("features", photos, *fc3, "--out", tmp_path / "full"),
        "--format is for parts": ("features", photos, *fc3, "--out", file, "--format", "npz"),
        "--images-per-part is for parts": ("predict", photos, *weights, "--images-per-part", "3"),
        "--images-per-part is for parts: ": ("evaluate", photos, *weights, "--images-per-part", "3"),
        f"Parquet in parts: give --out {file}, or --out {file.with_suffix('')} --format parquet": (
            *("features", photos, *fc3, "--out", file.with_suffix(".parquet")),
            *("--format", "parquet"),
        ),
        "f.npz is a file by its name": ("predict", photos, *weights, "--out", file),
        "cannot be read again": ("predict", "-", *weights, "--out", out),
        "unknown layer": ("features", photos, *weights, "--layer", "fc33", "--out", out),
        "has no test": ("predict", photos, *weights, "--split", "test", "--out", out),
        "is a file, not a folder": ("features", photos, *fc3, "--out", tmp_path / "full/thesis.txt/x"),
    }
    monkeypatch.setattr("alexnet.cli.parts.STDIN", "-")
    monkeypatch.setattr("alexnet.cli.predict.stdin_contents", lambda names: dict.fromkeys({"-"} & {*names}, b""))
    for words, arguments in mistakes.items():
        finished = run(*arguments, "--json")
        assert finished.status == 2, words
        assert words in finished.error
    assert not out.exists()
    assert not file.exists()


@pytest.mark.parametrize("verb", ["features", "predict", "evaluate"])
def test_half_an_environment_is_one_line(
    run, photos: Path, weights_file: Path, out: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    finished = run(verb, photos, "--weights", weights_file, "--out", out)
    assert (finished.status, "RANK is set, but not WORLD_SIZE" in finished.error) == (2, True)


@pytest.mark.parametrize("verb", ["features", "predict"])
def test_several_processes_need_a_folder(
    run, photos: Path, weights_file: Path, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    more = ("--out", tmp_path / "f.npz") if verb == "features" else ()
    finished = run(verb, photos, "--weights", weights_file, *more)
    assert (finished.status, "2 processes write parts" in finished.error) == (2, True)


def test_an_evaluation_by_hand_is_told_of_the_folder(
    run, photos: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    finished = run("evaluate", photos, "--weights", weights_file)
    assert (finished.status, "use torchrun, or name a folder with --out" in finished.error) == (2, True)


@pytest.mark.parametrize("verb", ["features", "predict", "evaluate"])
@pytest.mark.parametrize("rank", ["0", "1"])
def test_ctrl_c_says_what_is_there_and_goes_on(
    run, photos: Path, weights_file: Path, out: Path, verb: str, rank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process does."""
    kind = "evaluation" if verb == "evaluate" else "tables"

    def stop(part: Part, _errors: object) -> None:
        if part.start >= 6:
            raise KeyboardInterrupt

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(f"alexnet.parts.{kind}.check_damage", stop)
    more = ("--images-per-part", "3", *(("--layer", "fc3") if verb == "features" else ()))
    finished = run(verb, photos, "--weights", weights_file, "--split", "val", "--out", out, *more)
    line = f"interrupted; 1 of 4 parts are in {out}, the same command goes on"
    assert finished == (130, "", f"alexnet: {line if rank == '0' else 'interrupted'}\n")


def test_parquet_without_pyarrow_names_the_extra(
    run, photos: Path, weights_file: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    finished = run("predict", photos, "--weights", weights_file, "--out", out, "--format", "parquet")
    assert (finished.status, "alexnet[parquet]" in finished.error, out.exists()) == (2, True, False)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix stand in for a full disk")
@pytest.mark.parametrize("file_format", ["npz", "parquet"])
def test_a_full_disk_is_one_line_and_leaves_what_is_whole(
    photos: Path, weights_file: Path, out: Path, file_format: str
) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    code = (
        "import resource, signal, sys; from alexnet.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY)); sys.exit(main(sys.argv[1:]))"
    )
    arguments = ("features", photos, "--weights", weights_file, "--layer", "conv1", "--format", file_format)
    command = [sys.executable, "-c", code, *arguments, "--out", out, "--engine", "onnxruntime", *SMALL]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("alexnet: error: ")
    assert "too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in out.iterdir()] == ["_parts.json"]
