"""The processes of a run that `torchrun` has started: what they agree on. One process alone agrees with itself.

Nobody waits for a process that has failed: what one raises where all are asked, all raise, and the first says it.
Between such places a process that is gone breaks its connections, and the others say that.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from signal import Signals
from typing import Any, NoReturn, TypeVar
from uuid import uuid4

import numpy as np
import torch
import torch.distributed as dist

from alexnet import __version__
from alexnet.errors import AlexNetError, DivergedError, InputError, RunError, ToldElsewhereError
from alexnet.evaluate import Measure, Sums
from alexnet.spans import spans
from alexnet.train.share import Share
from alexnet.train.stop import Stopped, StopRequest

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

# To find each other; torchrun starts all of them at once. Ours.
JOINING = timedelta(minutes=3)
# For what one does while the others wait, such as the mean of all training images. A process that dies breaks its
# connections at once. Ours.
WAITING = timedelta(hours=6)

_FAILED, _ENDED = -2, -1  # instead of a number of images

T = TypeVar("T")


class Ranks:
    """This process, number `rank` of `count`; the first writes and speaks. `local`: its number on its machine.

    `group`: the processes, to exchange tensors of the run's device; `control`: the same, for plain numbers and words.
    """

    def __init__(
        self,
        rank: int = 0,
        count: int = 1,
        local: int = 0,
        group: dist.ProcessGroup | None = None,
        control: dist.ProcessGroup | None = None,
    ) -> None:
        self.rank, self.count, self.local = rank, count, local
        self.group, self._control = group, control
        self._agreed: Exception | None = None  # what all are raising

    @property
    def may_restart(self) -> bool:
        """Whether torchrun will start the processes again when one fails."""
        return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0

    @property
    def is_restarted(self) -> bool:
        """Whether it has."""
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def warn(self, line: str) -> None:
        """Say on stderr what concerns this process alone."""
        print(f"rank {self.rank}: {line}", file=sys.stderr, flush=True)

    def together(self, work: Callable[[], T]) -> T:
        """What `work` gives here, once all have done theirs.

        Raises:
            Exception: what it raises, here or elsewhere; then the rank is named.
            ToldElsewhereError: the same, in all processes but the first, which have nothing to say then.
        """
        if self.count == 1:
            return work()
        found, error = None, None
        try:
            found = work()
        except Exception as failure:
            if failure is self._agreed:  # of a block within this one: all are raising it
                raise
            error = failure
        if any(said[0] == _FAILED for said in self._numbers([_FAILED if error else 0, 0])):
            self._raise_said(error)
        return found  # type: ignore[return-value]

    def first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, in all of them; it may be any small thing.

        Raises:
            Exception: what it raises; see `together`.
        """
        found = self.together(lambda: work() if self.is_first else None)
        if self.count == 1:
            return found  # type: ignore[return-value]
        box = [found]
        dist.broadcast_object_list(box, 0, self._control)
        return box[0]  # type: ignore[return-value]

    def check_same(self, facts: Mapping[str, object]) -> None:
        """Refuse processes that are about to do different things.

        Raises:
            InputError: they differ in one of `facts`; names it, and the first process in which it does.
        """
        if self.count > 1:
            gathered = self._gather(dict(facts))
            self.together(lambda: _compare(gathered))

    def check_shared(self, folder: Path) -> None:
        """Refuse a folder that is not the same for all processes.

        Raises:
            InputError: one of them does not see what the first has put there.
        """
        if self.count == 1:
            return
        token = self.first(lambda: f".shared-{uuid4().hex}")
        self.first((folder / token).touch)

        def look() -> None:
            if not (folder / token).exists():
                raise InputError(f"{folder} is not the folder that rank 0 has there; --out must be one that all share")

        try:
            self.together(look)
        finally:
            if self.is_first:
                (folder / token).unlink(missing_ok=True)

    def divide(self, count: int, batch_size: int, measure: Measure) -> Sums:
        """What `measure` gives of the numbers below `count`, of which each process measures some: see `evaluate`.

        Each has whole batches, which are those of one process alone.
        """
        own = spans(-(-count // batch_size), self.count)[self.rank]
        found = self.together(lambda: measure(np.arange(own.start * batch_size, min(own.stop * batch_size, count))))
        if self.count == 1:
            return found
        total = torch.tensor(found, dtype=torch.float64)
        dist.all_reduce(total, group=self._control)
        return Sums(*total.tolist())

    def shares(self, batches: Iterable[Any], stop: StopRequest, *, divides_images: bool) -> Iterator[tuple[Any, Share]]:
        """Every batch of a `Batch` kind with its share in the step, once all processes have theirs.

        divides_images: whether each process has images of its own, or all have the same.

        Raises:
            Stopped: one of them was asked to stop; now all are.
            Exception: what reading a batch raises, in any of them; see `together`.
        """
        if self.count == 1:
            for batch in batches:
                yield batch, Share((len(batch.labels),))
            return
        stream = iter(batches)
        while True:
            batch, error = None, None
            try:
                batch = next(stream, None)
            except Exception as failure:
                error = failure
            images = _FAILED if error else _ENDED if batch is None else len(batch.labels)
            said = self._numbers([images, stop.signal or 0])
            sizes, signals = [each[0] for each in said], [each[1] for each in said]
            if _FAILED in sizes:
                self._raise_said(error)
            if _ENDED in sizes:
                return
            if any(signals):
                stop.signal = stop.signal or Signals(max(signals))
                raise Stopped
            if not divides_images and len(set(sizes)) > 1:
                raise RunError(f"the processes read {sizes} images of one batch; are the data the same everywhere?")
            yield batch, Share(tuple(sizes), self.rank) if divides_images else Share((images,))

    def _numbers(self, values: list[int]) -> list[list[int]]:
        ours = torch.tensor(values)
        theirs = [torch.empty_like(ours) for _ in range(self.count)]
        dist.all_gather(theirs, ours, self._control)
        return [each.tolist() for each in theirs]

    def _gather(self, thing: T) -> list[T]:
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, thing, self._control)
        return found

    def _raise_said(self, error: Exception | None) -> NoReturn:
        """Raise what the first to fail has to say; all call it, once all know that one has failed."""
        said = self._gather(_describe(error))
        rank, (line, exit_status) = next((rank, each) for rank, each in enumerate(said) if each)
        if not self.is_first:
            error = ToldElsewhereError(line, exit_status)
        elif not error:
            kind = InputError if exit_status == InputError.exit_status else RunError
            error = kind(f"rank {rank}: {line}")
        self._agreed = error
        raise error


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
    rank, count, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=JOINING)
    except (dist.DistError, RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise InputError(
            f"rank {rank} of {count} found no others at {where} ({_first_line(error)}); choose a free port with "
            "torchrun's --master-port, and start every process"
        ) from None
    try:
        ranks = Ranks(rank, count, local, dist.group.WORLD, dist.new_group(backend="gloo", timeout=WAITING))
        ranks.check_same({"version of alexnet": __version__, "version of torch": torch.__version__})
        yield ranks
    except (InputError, DivergedError) as error:  # all find it out alike
        raise (ToldElsewhereError(str(error), error.exit_status) if rank else error) from None
    except RuntimeError as error:  # as are those of torch.distributed
        if not _is_of_connection(error):
            raise
        line = (
            "another process of the run is gone; under torchrun --max-restarts all begin again from the last checkpoint"
        )
        raise (ToldElsewhereError(line, RunError.exit_status) if rank else RunError(line)) from error
    finally:
        dist.destroy_process_group()


def _compare(facts: list[dict[str, object]]) -> None:
    for rank, theirs in enumerate(facts):
        for name, value in facts[0].items():
            if theirs.get(name) != value:
                raise InputError(
                    f"rank {rank} has another {name} than rank 0: {theirs.get(name)}, not {value}; "
                    "start all processes from one place with one command"
                )


def _describe(error: Exception | None) -> tuple[str, int] | None:
    if error is None:
        return None
    if isinstance(error, AlexNetError | OSError):
        return str(error), getattr(error, "exit_status", RunError.exit_status)
    return f"{type(error).__name__}: {error}", RunError.exit_status


def _is_of_connection(error: Exception) -> bool:
    words = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "peer")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
