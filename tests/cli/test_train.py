"""`alexnet train` as its users meet it: what it prints, how it fails, how it goes on after Ctrl-C."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from alexnet.train.log import read_metrics
from alexnet.weights import Weights, find_weights

KEYS = ["out", "steps", "split", "evaluation", "best_error", "damaged"]
ONE_STEP = ("--net", "digits", "--epochs", "1", "--batch-size", "4", "--limit-train-batches", "1", "--workers", "1")


@pytest.fixture(autouse=True)
def _runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without --out goes below the folder one is in."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def begun(run, photos: Path, out: Path, no_pictures: None) -> Path:
    """The folder of a run of one step."""
    assert run("train", photos, *ONE_STEP, "--out", out).status == 0
    return out


def failure(finished) -> str:
    """The one error line, after lines of progress at most; nothing on stdout."""
    assert finished.stdout == ""
    *news, last = finished.stderr.splitlines()
    assert last.startswith("alexnet: error: ")
    assert not any(line.startswith(("alexnet: error", "Traceback")) for line in news)
    return last.removeprefix("alexnet: error: ")


def test_json_has_the_result_and_nothing_else(run, photos: Path, out: Path) -> None:
    status, shown, news = run("train", photos, *ONE_STEP, "--out", out, "--json")
    assert status == 0
    result = json.loads(shown)
    assert list(result) == KEYS
    assert (result["out"], result["steps"], result["split"]) == (str(out), 1, "val")
    assert result["evaluation"]["top1_error"] == result["best_error"]
    assert set(result["evaluation"]) == {"top1_error", "top5_error", "loss", "images", "views", "images_per_second"}
    assert "errors: 12 images of the val split, so few that one is 8.3 points" in news
    assert "digits by recipe digits on 12 images of 6 classes: 1 epoch of 1 step, cpu" in news
    assert "epoch 1: val error top-1" in news


def test_without_json_it_says_where_the_run_is(run, photos: Path, out: Path) -> None:
    status, shown, _ = run("train", photos, *ONE_STEP, "--out", out)
    assert (status, shown) == (0, f"weights, measurements and curves are in {out}\n")
    for name in ("run.json", "metrics.jsonl", "curves.png", "best.safetensors", "last.safetensors"):
        assert (out / name).stat().st_size > 0


def test_every_option_reaches_the_run(run, photos: Path, out: Path) -> None:
    settings = {
        **{"--net": "digits+no-lrn", "--recipe": "caffe", "--epochs": 2, "--batch-size": 3, "--lr": 0.25},
        **{"--precision": "fp32", "--seed": 20_121_130, "--limit-train-batches": 2, "--out": out},
        **{"--device": "cpu", "--workers": 3},
    }
    done = run("train", photos, *(str(word) for pair in settings.items() for word in pair))
    assert done.status == 0
    kept = json.loads((out / "run.json").read_text())
    assert kept["options"] == {
        **{
            "data": str(photos),
            "ground_truth": None,
            "class_order": "sorted",
            "net": "digits+no-lrn",
            "input_size": 16,
            "recipe": "caffe",
            "weights": None,
            "epochs": 2,
        },
        **{"batch_size": 3, "lr": 0.25, "seed": 20_121_130, "precision": "fp32", "limit_train_batches": 2},
        "until_error": None,
        "prune_to": None,
        "share_values": None,
    }
    assert kept["machine"]["dtype"] == "float32"
    assert find_weights(out).recipe["rates"]["weights"]["base"] == pytest.approx(0.25)


def test_a_bare_command_keeps_its_run_under_runs(run, photos: Path) -> None:
    shown = run("train", photos, *ONE_STEP).stdout
    [folder] = Path("runs").iterdir()
    assert folder.name.startswith("photos-")
    assert str(folder) in shown


def test_what_was_trained_can_be_evaluated_and_used(run, photos: Path, begun: Path) -> None:
    trained = find_weights(begun).errors[0]
    measured = run("evaluate", photos, "--weights", begun, "--json").json
    assert measured["top1_error"] == trained["top1_error"]
    predicted = run("predict", photos / "val" / "blue" / "0.png", "--weights", begun, "--json").json
    assert len(predicted["predictions"][0]["top"]) == 5


# ---- data


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def one_class(folder: Path) -> Path:
    (folder / "cat").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (18, 18)).save(folder / "cat" / f"{number}.png")
    return folder


def only_words(folder: Path) -> Path:
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "notes.txt").write_text("meow")
    return folder


BAD_DATA: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder, "no such folder, file or data set; DATA is"),
    "empty": (empty, "no images, shards or batches"),
    "one class": (one_class, "1 class; a classifier needs at least two"),
    "no images": (only_words, "no images in class folders"),
    "no shard": (lambda folder: Path(shutil.copy(__file__, folder.with_suffix(".py"))), "not a tar shard"),
}


def test_a_definition_of_caffes_is_trained(run, photos: Path, tmp_path: Path, out: Path) -> None:
    pytest.importorskip("google.protobuf")
    path = tmp_path / "small.prototxt"
    path.write_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32\n'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"\n'
        '  convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }\n'
        'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 10 } }\n',
        encoding="utf-8",
    )
    one_step = ("--epochs", "1", "--batch-size", "4", "--limit-train-batches", "1", "--workers", "1")
    assert run("train", photos, "--net", path, *one_step, "--out", out).status == 0
    spec = find_weights(out).spec
    assert [row.kind for row in spec.rows] == ["conv", "fc", "softmax"]
    assert spec.num_classes < 10  # as the photographs have


@pytest.mark.parametrize("kind", BAD_DATA)
def test_data_that_cannot_be_used_are_named_in_one_line(run, tmp_path: Path, out: Path, kind: str) -> None:
    make, words = BAD_DATA[kind]
    data = make(tmp_path / "data")
    finished = run("train", data, *ONE_STEP, "--out", out)
    assert finished.status == 2
    assert str(data) in finished.error
    assert words in finished.error
    assert not out.exists()


@pytest.mark.parametrize("content", [b"", b"words", None], ids=["empty", "words", "cut"])
@pytest.mark.parametrize("recipe", ["digits", "one-weird-trick"])
def test_what_is_not_an_image_is_named_and_left_out(
    run, photos: Path, out: Path, content: bytes | None, recipe: str
) -> None:
    """Whether the statistics or the first epoch come across it."""
    bad = photos / "train" / "blue" / "0.png"
    bad.write_bytes(bad.read_bytes()[:100] if content is None else content)
    options = ("--net", "digits", "--recipe", recipe, "--epochs", "1", "--out", out)
    finished = run("train", photos, *options, "--json")
    assert finished.status == 0
    assert json.loads(finished.stdout)["damaged"] == 1
    assert f"left out: {bad}: " in finished.stderr


def test_data_that_are_mostly_damaged_are_refused(run, photos: Path, out: Path) -> None:
    for path in (photos / "train").rglob("*.png"):
        path.write_bytes(b"words")
    finished = run("train", photos, *ONE_STEP, "--out", out)
    assert finished.status == 2
    assert "images cannot be read" in failure(finished)
    assert not out.exists()


def test_files_that_are_no_images_by_name_are_passed_over(run, photos: Path, out: Path) -> None:
    (photos / "train" / "blue" / "notes.txt").write_text("sky")
    assert run("train", photos, *ONE_STEP, "--out", out).status == 0


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_shard_cut_in_the_middle_is_named(run, cut_shard, out: Path, suffix: str, share: float) -> None:
    shard = cut_shard(suffix, share)
    finished = run("train", shard, *ONE_STEP, "--out", out)
    assert finished.status == 2
    assert shard.name in finished.error
    assert not out.exists()


def test_a_whole_shard_alone_is_trained_on(run, cut_shard, out: Path) -> None:
    assert run("train", cut_shard(".tar.gz", 1.0), *ONE_STEP, "--out", out).status == 0


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_shard_of_another_split_alone_is_refused(run, cut_shard, out: Path, split: str) -> None:
    shard = cut_shard(".tar", 1.0)
    shard = shard.rename(shard.with_name(f"{split}-000.tar"))
    finished = run("train", shard, *ONE_STEP, "--out", out)
    assert finished.status == 2
    assert f"{split}-000.tar has no train images, it has {split}; give a folder with train images" in finished.error


# ---- names and options


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--net", "krizhevski-145"), "unknown net 'krizhevski-145'; did you mean krizhevsky-145"),
        (("--net", "digits", "--recipe", "cifar-18"), "unknown recipe 'cifar-18'; did you mean cifar-18pct"),
        (("--net", "digits+nolrn"), "unknown ablation 'nolrn'; did you mean no-lrn"),
        (("--net", "digits+half"), "half is defined for the two-tower nets"),
        (("--net", "digits", "--precision", "fp16"), "'fp16' is not one of 'auto', 'fp32', 'bf16'"),
        (("--net", "digits", "--device", "tpu"), "'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'"),
        (("--net", "digits", "--lr", "0"), "the learning rate is 0.0"),
        (("--net", "digits", "--lr", "nan"), "the learning rate is nan"),
        (("--net", "digits", "--lr", "fast"), "--lr"),
        (("--net", "digits", "--epochs", "0"), "--epochs"),
        (("--net", "digits", "--batch-size", "0"), "--batch-size"),
        (("--net", "digits", "--limit-train-batches", "0"), "--limit-train-batches"),
        (("--net", "digits", "--workers", "0"), "--workers"),
        (("--net", "digits", "--seed", "-1"), "--seed"),
        (("--net", "digits", "--weights", "nowhere"), "no weights at 'nowhere'"),
        (("--net", "digits", "--resume"), "--resume continues the run in --out"),
        (("--epoch", "3"), "--epoch"),
        (("more",), "more"),
    ],
)
def test_a_wrong_option_is_one_line_and_leaves_nothing_behind(
    run, photos: Path, arguments: tuple[str, ...], words: str
) -> None:
    finished = run("train", photos, *arguments)
    assert finished.status == 2
    assert words in finished.error
    assert not Path("runs").exists()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_one_line(run, photos: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    finished = run("train", photos, *ONE_STEP, "--device", device)
    assert finished.status == 2
    assert f"--device {device}: " in finished.error


# ---- weights to start from


def test_training_goes_on_from_weights(run, photos: Path, weights_file: Path, tiny_weights: Weights, out: Path) -> None:
    arguments = ("--weights", weights_file, "--epochs", "1", "--limit-train-batches", "1", "--lr", "1e-30")
    assert run("train", photos, *arguments, "--out", out).status == 0
    trained = find_weights(out)
    assert trained.spec == tiny_weights.spec
    order = [[info.name for info in tiny_weights.classes].index(info.name) for info in trained.classes]
    for name, tensor in tiny_weights.tensors.items():
        expected = tensor[order] if name.startswith("fc4.") else tensor
        assert trained.tensors[name].tolist() == expected.tolist()


def test_weights_of_another_net_are_refused(run, photos: Path, weights_file: Path, out: Path) -> None:
    finished = run("train", photos, "--net", "digits", "--weights", weights_file, "--out", out)
    assert finished.status == 2
    assert "is a tiny, not a digits; leave --net out" in finished.error


def test_spoiled_weights_are_one_line(run, photos: Path, spoiled_weights: tuple[Path, str], out: Path) -> None:
    path, words = spoiled_weights
    finished = run("train", photos, "--weights", path, "--out", out)
    assert finished.status == 2
    assert str(path) in finished.error
    assert words in finished.error
    assert not out.exists()


# ---- run folders


def test_a_folder_with_a_run_is_not_begun_in_again(run, photos: Path, begun: Path) -> None:
    before = (begun / "run.json").read_bytes()
    finished = run("train", photos, *ONE_STEP, "--out", begun)
    assert finished.status == 2
    assert "already holds a run; continue it with --resume or choose another --out" in finished.error
    assert (begun / "run.json").read_bytes() == before


@pytest.mark.parametrize("place", ["nothing here", "file", "empty"])
def test_a_folder_without_a_run_cannot_be_resumed(run, photos: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    finished = run("train", photos, "--out", tmp_path / place, "--resume")
    assert finished.status == 2
    assert f"{tmp_path / place} holds no run to resume (no run.json)" in finished.error


def test_a_file_in_the_way_is_one_line(run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/run"):
        finished = run("train", photos, *ONE_STEP, "--out", tmp_path / place)
        assert finished.status == 2
        assert f"{tmp_path / 'file'} is a file" in finished.error


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--batch-size", "5"), "was begun with batch_size 4, not 5"),
        (("--net", "caffe"), "was begun with net digits, not caffe"),
        (("--lr", "0.1"), "was begun with lr 0.005, not 0.1"),
        (("--epochs", "2"), "was begun with epochs 1, not 2"),
        (("--seed", "1"), "was begun with seed 0, not 1"),
    ],
)
def test_a_resumed_run_keeps_its_options(run, photos: Path, begun: Path, option: tuple[str, ...], words: str) -> None:
    finished = run("train", photos, "--out", begun, "--resume", *option)
    assert finished.status == 2
    assert words in finished.error


def test_a_run_is_not_resumed_on_other_data(run, begun: Path) -> None:
    finished = run("train", "digits", "--out", begun, "--resume")
    assert finished.status == 2
    assert "was begun on other data (photos); digits has not the same images" in finished.error


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("run.json", b'{"options": ', "run.json is damaged"),
        ("run.json", b'{"options": {"colour": 1}}', "run.json is damaged"),
        ("checkpoint.pt", None, "checkpoint.pt: damaged"),
        ("checkpoint.pt", b"", "checkpoint.pt: damaged"),
    ],
)
def test_a_damaged_run_is_one_line(
    run, photos: Path, begun: Path, name: str, content: bytes | None, words: str
) -> None:
    path = begun / name
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    finished = run("train", photos, "--out", begun, "--resume")
    assert finished.status == 2
    assert words in finished.error


# ---- runs that fail


def test_a_loss_that_is_no_number_exits_1_and_names_the_step(run, out: Path) -> None:
    command = ("train", "digits", "--net", "digits", "--batch-size", "16", "--out", out)
    finished = run(*command, "--lr", "1e9", "--epochs", "1", "--limit-train-batches", "10")
    assert finished.status == 1
    assert "at step 3; what was saved before is kept, begin another run with a lower --lr" in failure(finished)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left on the disk"), (errno.EDQUOT, "quota"), (errno.EROFS, "file system is read-only")],
)
@pytest.mark.parametrize("name", ["run.json", "last.safetensors", "checkpoint.pt"])
def test_a_disk_that_takes_no_more_exits_1_and_the_run_goes_on_later(
    run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, words: str
) -> None:
    """The disk refuses `name` when it is put in place; the same command, with --resume once begun, then succeeds."""
    from alexnet import atomic

    sync = atomic._sync

    def refuse(path: Path, *arguments: object) -> None:
        if path.name.startswith(f".{name}."):
            raise OSError(number, os.strerror(number), str(path))
        sync(path, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_sync", refuse)
        finished = run("train", photos, *ONE_STEP, "--out", out)
    assert finished.status == 1
    assert words in failure(finished)
    begun = name == "last.safetensors"
    assert ("the run goes on with: alexnet train" in finished.stderr) == begun
    assert not [path.name for path in out.iterdir() if path.name.endswith(".tmp")]
    assert run("train", photos, *ONE_STEP, "--out", out, *(["--resume"] if begun else [])).status == 0


def test_a_read_only_place_for_the_folder_exits_1(
    run, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if path == out:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        make(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    finished = run("train", photos, *ONE_STEP, "--out", out)
    assert finished.status == 1
    assert finished.error == f"{out}: the file system is read-only; write elsewhere"


def test_ctrl_c_exits_130_says_how_to_go_on_and_that_works(run, tmp_path: Path) -> None:
    """A real process, a real signal, in the middle of an epoch; its folder has a blank in its name."""
    out = tmp_path / "my run"
    options = ("--net", "digits", "--precision", "fp32", "--epochs", "1", "--batch-size", "8")
    options += ("--limit-train-batches", "70")
    command = [sys.executable, "-m", "alexnet", "train", "digits", *options, "--device", "cpu", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 250
            while not ((out / "metrics.jsonl").exists() and read_metrics(out)):  # written at step 20
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            shown, news = process.communicate(timeout=100)
        finally:
            process.kill()
    assert (process.returncode, shown) == (130, "")
    told, last = news.splitlines()[-2:]
    assert last == "alexnet: interrupted"
    match = re.fullmatch(r"stopped; saved at step (\d+), the run goes on with: (.*)", told)
    assert match is not None
    assert match[2] == f"alexnet train digits --out '{out}' --resume"
    assert 20 <= int(match[1]) < 70
    status, _, news = run("train", "digits", "--out", out, "--resume")
    assert status == 0
    assert f"resumed {out} at step {match[1]} of 70" in news
    assert len(find_weights(out).errors) == 1
