"""The one image that may come through a pipe."""

import sys
from collections.abc import Sequence
from typing import BinaryIO

from alexnet.errors import InputError

STDIN = "-"


def open_stdin() -> BinaryIO:
    """What is piped into this process.

    Raises:
        InputError: the shell has closed it (`<&-`).
    """
    if sys.stdin is None:
        raise InputError("there is nothing on stdin to read an image from")
    return sys.stdin.buffer


def stdin_contents(names: Sequence[str]) -> dict[str, bytes]:
    """The bytes on stdin under the name that asks for them, if it is among `names`."""
    return {STDIN: open_stdin().read()} if STDIN in names else {}
