"""Processes that share a run, as torchrun starts them; whatever happens, they are gone after a time."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 240.0  # seconds; loaded machines are slow


class Ended(NamedTuple):
    """A process that has ended by itself."""

    status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The errors that it told people."""
        return [line for line in self.stderr.splitlines() if line.startswith("alexnet: error:")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """This process's, one thread for each; without what a launcher around the tests may have set."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("TORCHELASTIC", "RANK", "LOCAL"))}
    return ours | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"} | more


def of_rank(rank: int, count: int, port: int, machines: int = 1) -> dict[str, str]:
    """What torchrun tells process `rank` of `count` on so many machines, all of which are this one."""
    here = count // machines
    numbers = {
        "RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank % here, "LOCAL_WORLD_SIZE": here, "MASTER_PORT": port,
    }  # fmt: skip
    return {"MASTER_ADDR": "127.0.0.1"} | {name: str(number) for name, number in numbers.items()}


@contextmanager
def begun(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process in a session of its own, all of which is killed at the end."""
    process = subprocess.Popen(
        command,
        env=dict(env),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # torchrun takes its processes along, which have their own sessions
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process: subprocess.Popen[str], limit: float = LIMIT) -> Ended:
    """Fails the test if it does not end by itself in `limit` seconds."""
    try:
        stdout, stderr = process.communicate(timeout=max(limit, 1))
    except subprocess.TimeoutExpired:
        pytest.fail(f"still at work after {limit:.0f} s: {process.args}")
    return Ended(process.returncode, stdout, stderr)


def run_ranks(
    arguments: Sequence[str],
    count: int = 2,
    *,
    limit: float = LIMIT,
    machines: int = 1,
    different: Mapping[int, Sequence[str]] | None = None,
) -> list[Ended]:
    """`python ARGUMENTS` in `count` processes, as of so many machines; `different`: the arguments of some of them."""
    port, until = free_port(), monotonic() + limit
    with ExitStack() as stack:
        running = []
        for rank in range(count):
            command = [sys.executable, *((different or {}).get(rank, arguments))]
            running.append(stack.enter_context(begun(command, environment(**of_rank(rank, count, port, machines)))))
        return [ended(process, until - monotonic()) for process in running]


def torchrun(arguments: Sequence[str], count: int = 2, *options: str) -> list[str]:
    """The command that starts `python ARGUMENTS` in `count` processes of this machine."""
    where = () if any(option.startswith("--nnodes") for option in options) else ("--standalone",)
    launcher = [sys.executable, "-m", "torch.distributed.run", *where, "--nproc-per-node", str(count), *options]
    return [*launcher, "--no-python", sys.executable, *arguments]
