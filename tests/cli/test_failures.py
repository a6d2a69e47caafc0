import errno
from collections.abc import Callable

import numpy as np
import pytest

from alexnet.cli.failures import describe_failure
from alexnet.errors import DataError, RunError


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (DataError("no such folder"), "no such folder", 2),
        (RunError("the loss\nis not a number"), "the loss is not a number", 1),
        (
            OSError(errno.ENOSPC, "x", "run/last"),
            "run/last: no space left on the disk; free some or write elsewhere",
            1,
        ),
        (OSError(errno.EROFS, "x"), "the file system is read-only; write elsewhere", 1),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), "a: No such file", 1),
        (OSError("odd"), "odd", 1),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "PyTorch is needed for this; install it with: pip install 'alexnet[train]'",
            2,
        ),
        (ZeroDivisionError(), "unexpected ZeroDivisionError (run again with --debug to see where)", 1),
    ],
)
def test_every_failure_is_one_line_with_a_status(error: Exception, line: str, status: int) -> None:
    assert describe_failure(error) == (line, status)


@pytest.mark.parametrize("allocate", [lambda: np.empty(1 << 50), lambda: bytearray(1 << 62)])
def test_a_batch_that_does_not_fit_says_what_to_change(allocate: Callable[[], object]) -> None:
    with pytest.raises(MemoryError) as caught:
        allocate()
    line, status = describe_failure(caught.value)
    assert "--batch-size" in line
    assert status == 1


def test_torch_says_that_its_memory_is_out_in_words() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 45)
    assert "--batch-size" in describe_failure(caught.value)[0]


def test_on_windows_torch_has_other_words() -> None:
    error = RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
    assert "--batch-size" in describe_failure(error)[0]
