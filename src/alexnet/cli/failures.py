"""What a failure says and with which status the process ends."""

import errno
import os

from alexnet.errors import AlexNetError, DataError, InputError, MissingExtraError, ToldElsewhereError

EXAMPLE = "Example: "  # what the example below the help of a verb begins with

FAILED_RUN, BAD_INPUT = 1, 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

_OF_THE_MACHINE = {
    errno.ENOSPC: "no space left on the disk; free some or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EACCES: "permission denied; change the permissions or use another place",
}
# Python and NumPy have a class for it; torch, ONNX Runtime and OpenVINO have words, on CPUs and on devices.
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate",
    "unable to allocate",
    "bad_alloc",
)
_OF_THE_INPUT = {errno.ENAMETOOLONG: "no such path, the name is too long"}


def describe_failure(error: Exception) -> tuple[str, int]:
    """(one line for people, exit status) of any exception that reaches the command line."""
    line, exit_status = _describe(error)
    return " ".join(line.split()), exit_status


def is_told_elsewhere(error: Exception) -> bool:
    """Whether another process says it: the first of a run, or of this machine what all of them find out alike."""
    is_of_its_data = isinstance(error, DataError)
    is_alike = (isinstance(error, InputError) and not is_of_its_data) or hasattr(error, "format_message")
    return isinstance(error, ToldElsewhereError) or (is_alike and not is_first_here())


def is_first_here() -> bool:
    """Whether this is the first of the processes of this machine, or alone."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _describe(error: Exception) -> tuple[str, int]:
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        error = MissingExtraError("PyTorch", "train")
    if isinstance(error, AlexNetError):
        return str(error), error.exit_status
    # Usage errors: typer does not export their class, and where it lives has changed between its versions.
    if usage := getattr(error, "format_message", None):
        return f"{usage().rstrip('.')}{_example(error)}; see: {_command_path(error)} --help", BAD_INPUT
    if isinstance(error, OSError):
        reasons = _OF_THE_MACHINE | _OF_THE_INPUT
        reason = reasons.get(error.errno or 0, error.strerror or str(error))
        exit_status = BAD_INPUT if error.errno in _OF_THE_INPUT else FAILED_RUN
        return f"{error.filename}: {reason}" if error.filename else reason, exit_status
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY):
        return "this does not fit in memory; use a smaller --batch-size, fewer images, or a smaller net", FAILED_RUN
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"unexpected {what} (run again with --debug to see where)", FAILED_RUN


def _example(error: Exception) -> str:
    """Of the whole command, where a part of it is missing."""
    context = getattr(error, "ctx", None)
    example = context.command.epilog if context and hasattr(error, "param_type") else None
    return f", as in: {example.removeprefix(EXAMPLE)}" if example else ""


def _command_path(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context else "alexnet"
