import hashlib
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from PIL import Image

from alexnet.data.datasets import open_data

KEYS = {"out", "images", "classes", "damaged", "odd", "shards", "seconds", "images_per_second"}
QUICK = ("--size", "16")


def test_json_has_exactly_the_published_keys(run, photos: Path, tmp_path: Path) -> None:
    shown = run("prepare", photos, tmp_path / "out", *QUICK, "--json").json
    assert shown.keys() == KEYS
    assert shown["images"] == {"train": 12, "val": 12}
    assert (shown["classes"], shown["damaged"], shown["odd"], shown["shards"]) == (6, 0, {}, 2)


def test_the_text_tells_odd_files_and_the_result(run, photos: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(photos / "train" / "red" / "grey.png")
    status, shown, errors = run("prepare", photos, tmp_path / "out", *QUICK)
    assert (status, errors) == (0, "")
    assert "grayscale" in shown
    assert "out: train 13, val 12 images of 6 classes in 2 shards" in shown
    assert "it was complete already" in run("prepare", photos, tmp_path / "out", *QUICK).stdout


def test_damaged_images_are_named_on_stderr_and_left_out(run, photos: Path, tmp_path: Path) -> None:
    for number in range(12):
        (photos / "train" / "red" / f"bad-{number}.png").write_bytes(b"no image")
    finished = run("prepare", photos, tmp_path / "out", *QUICK, "--json")
    assert finished.status == 2
    assert "12 of 36 images are damaged" in finished.error
    finished = run("prepare", photos, tmp_path / "out", *QUICK, "--max-damaged", "1", "--json")
    assert finished.status == 0
    assert json.loads(finished.stdout)["odd"] == {"not-an-image": 12}
    lines = finished.stderr.splitlines()
    assert lines[0] == "left out: train/red/bad-0.png: not an image (no format that is read here)"
    assert len(lines) == 11
    assert lines[-1].startswith("... 12 in all; ")


def test_every_mistake_is_one_line_and_exit_2(run, photos: Path, tmp_path: Path) -> None:
    mistakes = {
        "no such folder": (tmp_path / "nothing", tmp_path / "out"),
        "is inside": (photos, photos / "out"),
        "no flat validation images": (photos, tmp_path / "out", "--ground-truth", tmp_path / "x.txt"),
        "none of ILSVRC's 1,000 classes": (photos, tmp_path / "out2", "--class-order", "devkit"),
        "Invalid value for '--quality'": (photos, tmp_path / "out", "--quality", "101"),
        "size is from 1 to 4,096": (photos, tmp_path / "out", "--size", "5000"),
    }
    for words, arguments in mistakes.items():
        finished = run("prepare", *arguments, "--json")
        assert finished.status == 2
        assert words in finished.error


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders, not even root's")
def test_a_place_that_cannot_be_written_is_one_line(run, photos: Path) -> None:
    finished = run("prepare", photos, "/proc/prepared")
    assert finished.status == 1
    assert "/proc/prepared" in finished.error


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Some seconds of work: 160 photographs in two classes, one of them damaged."""
    rng = np.random.default_rng(0)
    for number in range(160):
        path = tmp_path / "many" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        coarse.resize((480, 360), Image.Resampling.BICUBIC).save(path)
    (tmp_path / "many" / "a" / "0.jpg").write_bytes(b"no image")
    return tmp_path / "many"


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    options = ["--size", "64", "--shard-images", "10", "--workers", "1"]
    command = [sys.executable, "-m", "alexnet", "prepare", str(source), str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wait_for(folder: Path, num_shards: int, process: subprocess.Popen[bytes]) -> None:
    """Until the ledger (0) or that many shards are there, or the process has ended."""
    deadline = monotonic() + 60
    wanted = folder / ".prepare" / "ledger.sqlite"
    while process.poll() is None and not (wanted.exists() and len(list(folder.glob("*.tar"))) >= num_shards):
        assert monotonic() < deadline
        sleep(0.002)


def kill_moments() -> Iterator[tuple[int, float]]:
    """After how many shards, and how long after them."""
    rng = random.Random(0)
    for num_shards in (0, 1, 4, 7, 11):
        yield num_shards, rng.uniform(0, 0.06)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_killed_at_random_moments_goes_on_to_the_same_bytes(many: Path, tmp_path: Path) -> None:
    killed = 0
    for num_shards, delay in kill_moments():
        with start(many, tmp_path / "killed") as process:
            wait_for(tmp_path / "killed", num_shards, process)
            sleep(delay)
            process.kill()
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 4
    for out in ("killed", "at-once"):
        with start(many, tmp_path / out) as process:
            _, errors = process.communicate()
            assert process.returncode == 0
            assert errors == b"left out: a/0.jpg: not an image (no format that is read here)\n"
    assert digests(tmp_path / "killed") == digests(tmp_path / "at-once")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise")
def test_ctrl_c_says_that_the_same_command_goes_on_and_a_second_process_is_refused(many: Path, tmp_path: Path) -> None:
    with start(many, tmp_path / "out") as process:
        wait_for(tmp_path / "out", 2, process)
        process.send_signal(signal.SIGSTOP)  # it must not be done before the second has started
        with start(many, tmp_path / "out") as second:
            _, errors = second.communicate()
        assert second.returncode == 2
        assert b"another process is already writing into" in errors
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        shown, errors = process.communicate()
    assert (process.returncode, shown) == (130, b"")
    assert errors == b"alexnet: interrupted; the same command goes on from the last whole shard\n"
    with start(many, tmp_path / "out") as process:
        process.communicate()
    assert sum(map(len, open_data(tmp_path / "out").splits.values())) == 159


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (("ILSVRC2012_img_train.tar",), "holds both ILSVRC2012_img_train.tar and train/"),
        (("train/ILSVRC2012_img_train.tar",), "lies inside train/; move it into"),
        (("extra/red/0.png",), "is train/ a split or a class? extra/ beside it is no split"),
        (("valid/red/0.png",), "val/ and valid/ both mean val"),
    ],
)
def test_what_would_lose_images_is_refused(run, photos: Path, tmp_path: Path, others, words: str) -> None:
    for name in others:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).touch()
    finished = run("prepare", photos, tmp_path / "out", *QUICK)
    assert finished.status == 2
    assert words in finished.error


def test_archives_of_other_things_beside_the_images_do_not_matter(run, photos: Path, tmp_path: Path) -> None:
    (photos / "annotations.tar.gz").write_bytes(b"boxes")
    (photos / "val").rename(photos / "valid")
    assert run("prepare", photos, tmp_path / "out", *QUICK, "--json").json["images"] == {"train": 12, "val": 12}


def test_what_cannot_be_prepared_leaves_no_folder_behind(run, tmp_path: Path) -> None:
    for source in (tmp_path / "nothing", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert run("prepare", source, tmp_path / "out").status == 2
        assert not (tmp_path / "out").exists()


def test_other_files_are_counted_by_suffix(run, photos: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "README"):
        (photos / "train" / "blue" / name).write_text("words")
    finished = run("prepare", photos, tmp_path / "out", "--size", "16")
    assert finished.status == 0
    assert "no images by their names: 1 without a suffix, 2 .txt" in finished.stdout
    assert json.loads((tmp_path / "out/prepared.json").read_text())["passed_over"] == {".txt": 2, "": 1}
