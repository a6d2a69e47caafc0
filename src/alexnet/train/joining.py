"""How the processes that `torchrun` has started find each other, and what is said where one of them is gone."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from time import monotonic, sleep
from typing import TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from alexnet import __version__
from alexnet.errors import DivergedError, InputError, RunError, ToldElsewhereError
from alexnet.train.launch import VARIABLES, may_restart, place
from alexnet.train.ranks import STEPPING, Ranks

T = TypeVar("T")

# To find each other; torchrun starts all of them at once.
JOINING = timedelta(minutes=3)
# For what one does while the others wait, such as the mean of all training images.
WAITING = timedelta(hours=6)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun has started, or this one alone; `device` is the kind of device that they compute on.

    Raises:
        InputError: they do not find each other, or what torchrun tells them is incomplete.
        RunError: one of them is gone.
    """
    if not (there := [name for name in VARIABLES if name in os.environ]) or os.environ.get("WORLD_SIZE") == "1":
        yield Ranks()
        return
    if missing := [name for name in VARIABLES if name not in there]:
        raise InputError(
            f"{there[0]} is set, but not {', '.join(missing)}; start all processes with torchrun, or unset it"
        )
    rank, count = place("RANK", "WORLD_SIZE")
    local, here = place("LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        store, _, _ = _in_time(lambda: next(rendezvous("env://", timeout=JOINING)))
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=_of_this_attempt(store, rank, count),
            rank=rank,
            world_size=count,
            timeout=JOINING,
        )
    except (dist.DistError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise InputError(
            f"rank {rank} of {count} found no others at {where} ({_first_line(error)}); choose a free port with "
            "torchrun's --master-port, and start every process"
        ) from None
    try:
        control, patient = (dist.new_group(backend="gloo", timeout=limit) for limit in (STEPPING, WAITING))
        ranks = Ranks(rank, count, local, dist.new_group(timeout=STEPPING), control, patient, here)
        ranks.check_same(
            {"version of alexnet": __version__, "version of torch": torch.__version__, "kind of device": device.type}
        )
        yield ranks
    except (InputError, DivergedError) as error:  # all find it out alike
        raise (ToldElsewhereError(str(error), error.exit_status) if rank else error) from None
    except RuntimeError as error:  # as are those of torch.distributed
        if not _is_of_connection(error):
            raise
        line = "another process of the run is gone; " + (
            "torchrun begins again from the last checkpoint, if it has restarts left"
            if may_restart()
            else "the same command with --resume goes on from the last checkpoint, or torchrun --max-restarts by itself"
        )
        raise (ToldElsewhereError(line, RunError.exit_status) if rank else RunError(line)) from error
    finally:
        dist.destroy_process_group()


def _in_time(work: Callable[[], T]) -> T:
    """What `work` gives; torch waits for good where another service answers at the port.

    Raises:
        TimeoutError: it is not done after `JOINING`.
        Exception: what it raises.
    """
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    Thread(target=run, daemon=True).start()
    # Its own limit comes first where it holds it.
    return found.result(timeout=JOINING.total_seconds() + 5)


def _of_this_attempt(store: dist.Store, rank: int, count: int) -> dist.Store:  # type: ignore[name-defined]
    """A part of `store` that no earlier attempt has written to: torchrun may keep one store over its restarts, and does
    not count them alike on all machines. Who is in it is asked anew: only those that are alive answer.

    Raises:
        RuntimeError: not all have come in time.
    """
    name, until = uuid4().hex, monotonic() + JOINING.total_seconds()
    if rank:
        store.set(f"question of {rank}", name)
        attempt = store.get(f"answer to {name}").decode()  # waits for it
        store.set(f"{rank} has heard of {attempt}", "")
        return dist.PrefixStore(attempt, store)  # type: ignore[attr-defined]
    missing = set(range(1, count))
    while missing:
        for other in sorted(missing):
            if store.check([f"question of {other}"]):
                store.set(f"answer to {store.get(f'question of {other}').decode()}", name)
            if store.check([f"{other} has heard of {name}"]):
                missing.remove(other)
        if monotonic() > until:
            raise RuntimeError(f"without rank {min(missing)} after {JOINING.total_seconds():.0f} s")
        sleep(0.01)
    return dist.PrefixStore(name, store)  # type: ignore[attr-defined]


def _is_of_connection(error: Exception) -> bool:
    words = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "timeout", "pair closure", "peer")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
