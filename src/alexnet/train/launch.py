"""What torchrun tells the processes that it starts."""

import os
import socket

from alexnet.errors import InputError
from alexnet.spans import which_of

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def place(number: str, count: str) -> tuple[int, int]:
    """Which of how many, as the variables of these names have it.

    Raises:
        InputError: they are no numbers, or cannot belong together.
    """
    said = [os.environ[name] for name in (number, count)]
    if not (found := which_of(*said)):
        raise InputError(
            f"{number} is {said[0]} and {count} is {said[1]}; start all processes with torchrun, or unset both"
        )
    return found


def may_restart() -> bool:
    """Whether torchrun will start the processes again when one fails."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


def launch_id() -> str:
    """One and the same for all that torchrun starts, and starts again, by one command; asked of the first process.

    Not its count of restarts, which each machine has of its own. Without a run id it is torchrun's
    own process on the first machine, which stays, as its ports do not.
    """
    run_id = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return f"{socket.gethostname()} {os.getppid()}" if run_id == "none" else run_id
