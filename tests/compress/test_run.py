import json
from pathlib import Path

import numpy as np
import pytest

from alexnet.compress import CompressOptions, Stage, compress
from alexnet.errors import InputError
from alexnet.train.observer import Silent
from alexnet.train.options import RunOptions
from alexnet.train.run import train
from alexnet.verify import verify
from alexnet.weights import Weights, find_weights, save_weights
from alexnet.weights.catalog import find_header

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn")
    out = tmp_path_factory.mktemp("digits") / "run"
    train(RunOptions(data="digits", precision="fp32"), Silent(), out=out, device="cpu")
    return out


def options(target_bytes: int, **settings: object) -> CompressOptions:
    asked = {"data": "digits", "epochs": 4, "precision": "fp32", "device": "cpu"} | settings
    return CompressOptions(mib=target_bytes / 2**20, **asked)  # type: ignore[arg-type]


def test_a_net_becomes_small_and_still_knows_its_classes(digits_run: Path, tmp_path: Path) -> None:
    done = compress(digits_run, tmp_path / "small.safetensors", options(60_000), observer=Silent())
    assert [stage.name for stage in done.stages] == ["original", "pruned", "shared", "coded"]
    sizes = [stage.bytes for stage in done.stages]
    assert sizes == sorted(sizes, reverse=True)
    first, last = done.stages[0], done.stages[-1]
    assert last.bytes == (tmp_path / "small.safetensors").stat().st_size
    assert last.bytes == pytest.approx(60_000, rel=0.1)
    assert first.agreement == 1
    assert last.agreement is not None
    assert last.agreement > 0.95
    assert last.top1_error is not None
    assert first.top1_error is not None
    assert first.top1_error < 0.05  # what the demo's recipe comes to
    assert last.top1_error < first.top1_error + 0.03
    assert list(tmp_path.iterdir()) == [tmp_path / "small.safetensors"]


def test_what_is_written_is_what_was_measured(digits_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    done = compress(digits_run, path, options(60_000, epochs=1, limit_train_batches=5), observer=Silent())
    assert verify(path).checksummed
    weights = find_weights(path)
    [errors] = weights.errors
    assert errors["top1_error"] == done.stages[-1].top1_error
    left = sum(np.count_nonzero(tensor) for key, tensor in weights.tensors.items() if key.endswith("weight"))
    total = sum(tensor.size for key, tensor in weights.tensors.items() if key.endswith("weight"))
    assert left / total == pytest.approx(done.kept)


def test_a_licence_is_kept_unless_another_is_given(digits_run: Path, tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.safetensors" for name in ("first", "second", "third"))
    compress(digits_run, first, options(60_000, data=None), observer=Silent())
    compress(digits_run, second, options(60_000, data=None, licence="CC-BY-4.0"), observer=Silent())
    compress(second, third, options(60_000, data=None), observer=Silent())
    assert [find_weights(path).licence for path in (first, second, third)] == [None, "CC-BY-4.0", "CC-BY-4.0"]
    assert find_header(third).licence == "CC-BY-4.0"


def test_what_pictures_are_reduced_to_is_kept_through_training(digits_run: Path, tmp_path: Path) -> None:
    """Training does not reduce: digits of 8 pixels stay as they are."""
    small, smaller = (tmp_path / f"{name}.safetensors" for name in ("small", "smaller"))
    compress(digits_run, small, options(60_000, data=None, reduce_to=8), observer=Silent())
    compress(small, smaller, options(60_000, epochs=2, limit_train_batches=2), observer=Silent())
    assert [find_weights(path).preprocessing.reduce_to for path in (small, smaller)] == [8, 8]


def test_without_data_values_are_shared_and_nothing_is_pruned(digits_run: Path, tmp_path: Path) -> None:
    done = compress(digits_run, tmp_path / "small.safetensors", options(60_000, data=None), observer=Silent())
    assert [stage.name for stage in done.stages] == ["original", "coded"]
    assert done.kept > 0.99
    assert (done.split, done.stages[-1].top1_error) == (None, None)
    assert done.stages[0].bytes / done.stages[-1].bytes > 5


def test_other_classes_and_missing_folders_are_refused_before_any_work(
    digits_run: Path, tiny_weights: Weights, tmp_path: Path
) -> None:
    save_weights(tmp_path / "tiny.safetensors", tiny_weights)
    with pytest.raises(InputError, match="digits has not the classes of the weights"):
        compress(tmp_path / "tiny.safetensors", tmp_path / "small.safetensors", options(6000), observer=Silent())
    with pytest.raises(InputError, match="there is no folder"):
        compress(digits_run, tmp_path / "nowhere/small.safetensors", options(60_000), observer=Silent())
    assert list(tmp_path.iterdir()) == [tmp_path / "tiny.safetensors"]


def test_work_that_was_stopped_goes_on(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import alexnet.compress.run as module

    asked, path = options(60_000, epochs=1, limit_train_batches=5, lr=0.006), tmp_path / "small.safetensors"
    whole = compress(digits_run, tmp_path / "whole.safetensors", asked, observer=Silent())
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            compress(digits_run, path, asked, observer=Silent())
    runs = [path.with_name("small.safetensors.runs") / name for name in ("pruned", "shared")]
    assert all((run / "last.safetensors").exists() for run in runs)
    begun = [json.loads((run / "run.json").read_text())["options"] for run in runs]
    assert [each["seed"] for each in begun] == [0, 1]
    assert [each["lr"] for each in begun] == pytest.approx([0.006, 0.001])
    assert begun[1]["weights"] == str(
        runs[0] / "last.safetensors"
    )  # not its best, which may be of before it was pruned
    (path.with_name("small.safetensors.runs") / "notes.txt").write_text("a user's own")
    assert compress(digits_run, path, asked, resume=True, observer=Silent()) == whole
    assert path.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert isinstance(whole.stages[0], Stage)
    assert [kept.name for kept in path.with_name("small.safetensors.runs").iterdir()] == ["notes.txt"]


def test_the_weights_themselves_are_never_written_over(tiny_weights: Weights, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    path = run / "last.safetensors"
    save_weights(path, tiny_weights)
    for source in (path, run):
        with pytest.raises(InputError, match=r"last\.safetensors is what .* is read from; write elsewhere"):
            compress(source, path, options(6000, data=None), observer=Silent())


def stop(*_: object) -> None:
    raise KeyboardInterrupt
