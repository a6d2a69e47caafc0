import errno

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
        (MemoryError(), "unexpected MemoryError (run again with --debug to see where)", 1),
    ],
)
def test_every_failure_is_one_line_with_a_status(error: Exception, line: str, status: int) -> None:
    assert describe_failure(error) == (line, status)
