"""The processes of a run that `torchrun` has started: what they agree on. One process alone agrees with itself.

Nobody waits for a process that has failed: what one raises where all are asked, all raise, and the first says it.
Between such places a process that is gone breaks its connections, and the others say that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from signal import Signals
from typing import Any, NoReturn, TypeVar
from uuid import uuid4
from zlib import crc32

import numpy as np
import torch
import torch.distributed as dist

from alexnet.data.damaged import OnDamaged
from alexnet.errors import (
    DataError,
    DataToldElsewhereError,
    ImageError,
    InputError,
    RunError,
    ToldElsewhereError,
)
from alexnet.evaluate import Measure, Sums
from alexnet.spans import spans
from alexnet.train.share import Share
from alexnet.train.stop import Stopped, StopRequest
from alexnet.train.telling import compare, describe

_FAILED, _ENDED = -2, -1  # instead of a number of images

# For each step, checkpoint and measurement: the slowest process may be behind the fastest by so much. Of a cut network
# nobody hears, but from this clock.
STEPPING = timedelta(minutes=10)

T = TypeVar("T")


class Ranks:
    """This process, number `rank` of `count`; the first writes and speaks. `local`: its number among the `here` on its
    machine.

    `group`: the processes, to exchange tensors of the run's device; `control`: the same, for plain numbers and words;
    `patient`: for those that may be waited for.
    """

    def __init__(
        self,
        rank: int = 0,
        count: int = 1,
        local: int = 0,
        group: dist.ProcessGroup | None = None,
        control: dist.ProcessGroup | None = None,
        patient: dist.ProcessGroup | None = None,
        here: int = 1,
    ) -> None:
        self.rank, self.count, self.local, self.here = rank, count, local, here
        self.group, self._talking, self._patient = group, control, patient
        self._agreed: Exception | None = None  # what all are raising

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def on_each_machine(self) -> int:
        """How many processes every machine has; all of them where each has one, or they have different numbers."""
        self.together(lambda: None)  # who has failed on the way here has no numbers to give
        all_here = self._numbers([self.here, self.local])
        alike = all(found == [self.here, rank % self.here] for rank, found in enumerate(all_here))
        return self.here if alike and self.here > 1 and self.count % self.here == 0 else self.count

    def together(self, work: Callable[[], T], *, patiently: bool = False) -> T:
        """What `work` gives here, once all have done theirs; `patiently`: which may take one of them hours.

        Raises:
            Exception: what it raises, here or elsewhere; then the rank is named.
            ToldElsewhereError: the same, in all processes but the first, which have nothing to say then.
        """
        if self.count == 1:
            return work()
        found, error = None, None
        with self._asking(patiently=patiently):
            try:
                found = work()
            except Exception as failure:
                if failure is self._agreed:  # of a block within this one: all are raising it
                    raise
                error = failure
            if any(failed for (failed,) in self._numbers([error is not None])):
                self._raise_said(error)
        return found  # type: ignore[return-value]

    @contextmanager
    def _asking(self, *, patiently: bool) -> Iterator[None]:
        """What is asked within a patient block is asked patiently too: so who fails in it meets those who ask on."""
        before = self._talking
        self._talking = self._patient if patiently else before
        try:
            yield
        finally:
            self._talking = before

    def first(self, work: Callable[[], T], *, patiently: bool = False) -> T:
        """What `work` gives in the first process, in all of them; it may be any small thing.

        Raises:
            Exception: what it raises; see `together`.
        """
        found = self.together(lambda: work() if self.is_first else None, patiently=patiently)
        if self.count == 1:
            return found  # type: ignore[return-value]
        box = [found]
        dist.broadcast_object_list(box, 0, self._talking)
        return box[0]  # type: ignore[return-value]

    def check_same(self, facts: Mapping[str, object]) -> None:
        """Refuse processes that are about to do different things.

        Raises:
            InputError: they differ in one of `facts`; names it, and the first process in which it does.
        """
        if self.count > 1:
            self.together(lambda: None)  # who has failed on the way here has no facts to give
            gathered = self._gather(dict(facts))
            self.together(lambda: compare(gathered))

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

    def divide(
        self,
        count: int,
        batch_size: int,
        measure: Measure,
        damaged: "DamagedAnywhere",
        stop: StopRequest | None = None,
    ) -> Sums:
        """What `measure` gives of the numbers below `count`, of which each process measures some: see `evaluate`.

        Each has whole batches, which are those of one process alone. `measure` may raise the
        `Stopped` of `stop`: then all do.
        """
        own = spans(-(-count // batch_size), self.count)[self.rank]
        indices = np.arange(own.start * batch_size, min(own.stop * batch_size, count))
        if self.count == 1:
            return measure(indices)

        def measure_or_stop() -> Sums | None:
            with suppress(Stopped):
                return measure(indices)
            return None

        found = self.together(measure_or_stop, patiently=True)
        if stop:
            self._stop_together(stop, self._numbers([stop.signal or 0]))
        damaged.tell()
        total = torch.tensor(found, dtype=torch.float64)
        dist.all_reduce(total, group=self._talking)
        return Sums(*total.tolist())

    def shares(
        self, batches: Iterable[Any], stop: StopRequest, damaged: "DamagedAnywhere", *, divides_images: bool
    ) -> Iterator[tuple[Any, Share]]:
        """Every batch of a `Batch` kind with its share in the step, once all processes have theirs.

        damaged: the images that `batches` go without. divides_images: whether each process has images of its own, or
        all have the same: then those that all could read.

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
            which = 0 if batch is None or divides_images else crc32(batch.indices.tobytes())
            theirs = self._numbers([images, which, len(damaged), stop.signal or 0])
            sizes, sums, left_out, _ = zip(*theirs, strict=True)
            if _FAILED in sizes:
                self._raise_said(error)
            if any(left_out):
                damaged.tell()
            if _ENDED in sizes:
                return
            self._stop_together(stop, theirs)
            if len(set(sums)) > 1:
                batch = self._common(batch)
            yield batch, Share(sizes, self.rank) if divides_images else Share((len(batch.labels),))

    def _common(self, batch: Any) -> Any:
        """The images of `batch`, of a `Batch` kind, that are in those of all processes."""
        common = set.intersection(*map(set, self._gather(batch.indices.tolist())))
        kept = [place for place, index in enumerate(batch.indices.tolist()) if index in common]
        noise = None if batch.noise is None else batch.noise[kept]
        return replace(
            batch, images=batch.images[kept], labels=batch.labels[kept], noise=noise, indices=batch.indices[kept]
        )

    def _stop_together(self, stop: StopRequest, theirs: Iterable[Sequence[int]]) -> None:
        """`theirs`: of each process, last, the signal that has asked it to stop."""
        if signal := max(numbers[-1] for numbers in theirs):
            stop.signal = stop.signal or Signals(signal)
            raise Stopped

    def _numbers(self, values: list[int]) -> list[list[int]]:
        ours = torch.tensor(values, dtype=torch.int64)
        theirs = [torch.empty_like(ours) for _ in range(self.count)]
        dist.all_gather(theirs, ours, self._talking)
        return [each.tolist() for each in theirs]

    def _gather(self, thing: T) -> list[T]:
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, thing, self._talking)
        return found

    def _raise_said(self, error: Exception | None) -> NoReturn:
        """Raise what the first to fail has to say; all call it, once all know that one has failed."""
        said = self._gather(describe(error))
        rank, (line, exit_status, is_of_data) = next((rank, each) for rank, each in enumerate(said) if each)
        if not self.is_first:
            error = (DataToldElsewhereError if is_of_data else ToldElsewhereError)(line, exit_status)
        elif not error:
            kind = DataError if is_of_data else InputError if exit_status == InputError.exit_status else RunError
            error = kind(f"rank {rank}: {line}")
        self._agreed = error
        raise error


class DamagedAnywhere:
    """Takes note of images that this process cannot read, until `tell`: the first process counts those of all, with
    `count`, so that the limit holds for all together. One process alone counts at once.
    """

    def __init__(self, ranks: Ranks, count: OnDamaged) -> None:
        self._ranks, self._count = ranks, count
        self._untold: list[ImageError] = []

    def __len__(self) -> int:
        return len(self._untold)

    def __call__(self, error: ImageError) -> None:
        """Raises what `count` raises, where this process is alone."""
        if self._ranks.count == 1:
            self._count(error)
        else:
            self._untold.append(error)

    def tell(self) -> None:
        """All processes must call it.

        Raises:
            DataError: what `count` raises in the first.
        """
        found = [error for errors in self._ranks._gather(self._untold) for error in errors]
        self._untold.clear()

        def count() -> None:
            for error in found:
                self._count(error)

        self._ranks.first(count)
