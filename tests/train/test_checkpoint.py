import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from alexnet.errors import WeightsError
from alexnet.train.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint

PROGRESS = Progress(step=40, best_error=0.25, epochs_since_best=1, plateaus=2)


def tensors(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "conv1.weight": torch.randn(4, 3, 5, 5, generator=generator).contiguous(memory_format=torch.channels_last),
        "conv1.bias": torch.randn(4, generator=generator),
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, PROGRESS, tensors(1), tensors(2))
    return tmp_path


def test_what_was_saved_comes_back_bit_for_bit(saved: Path) -> None:
    progress, weights, velocities = load_checkpoint(saved)
    assert progress == PROGRESS
    for loaded, original in ((weights, tensors(1)), (velocities, tensors(2))):
        assert loaded.keys() == original.keys()
        assert all(torch.equal(loaded[name], original[name]) for name in original)


def test_a_missing_one_is_an_error_that_says_what_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=f"missing, so the run cannot go on; --weights {tmp_path} begins another from the weights"
    ):
        load_checkpoint(tmp_path)


class Trap:
    """What a hostile pickle would hold: loading it runs a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of the checkpoint was run')",)


@pytest.mark.parametrize("damage", ["cut", "empty", "words", "other keys", "code"])
def test_a_damaged_one_is_named_in_one_line(saved: Path, damage: str) -> None:
    path = saved / CHECKPOINT
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-200])
        case "empty":
            path.write_bytes(b"")
        case "words":
            path.write_text("step 40")
        case "other keys":
            torch.save({"weights": {}}, path)
        case "code":
            torch.save({"progress": Trap()}, path)
    with pytest.raises(WeightsError) as failure:
        load_checkpoint(saved)
    assert str(failure.value).startswith(f"{path}: damaged, ")
    assert "\n" not in str(failure.value)


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """The system refuses to write more, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of file sizes are told to Linux")
def test_where_nothing_fits_the_previous_one_stays(saved: Path) -> None:
    before = (saved / CHECKPOINT).read_bytes()
    with files_of_at_most(1000), pytest.raises(OSError, match="large") as failure:
        save_checkpoint(saved, Progress(step=80), tensors(3), tensors(4))
    assert failure.value.filename == str(saved / CHECKPOINT)
    assert [path.name for path in saved.iterdir()] == [CHECKPOINT]
    assert (saved / CHECKPOINT).read_bytes() == before
