"""The batches of a loader on a card, there before they are asked for.

A split that fits is held on the card (`alexnet.train.resident`); of any other each batch goes over while the one before
is worked on, from pinned memory and on a stream of its own.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.loader import Batch, Draws, LoaderOptions, TrainLoader
from alexnet.data.prefetch import prefetch
from alexnet.data.splits import Split
from alexnet.train.resident import ResidentPictures, hold_on

AHEAD = 3  # batches


@dataclass(frozen=True, eq=False)
class DeviceBatch:
    """A `Batch` on a device; `indices` stay with the host."""

    images: Tensor  # uint8 (N, 3, crop, crop), RGB, channels last in memory
    labels: Tensor  # int64 (N,)
    noise: Tensor | None  # float32 (N, 3)
    indices: NDArray[np.int64]  # (N,)


class Batches(Protocol):
    """Where batches come from: a `TrainLoader`, or one of these on a device."""

    @property
    def split(self) -> Split:
        """The images."""

    @property
    def options(self) -> LoaderOptions:
        """How batches are made."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass."""

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch | DeviceBatch]:
        """The batches of one pass, from `first_step` of it on."""


class DeviceLoader:
    """A loader's batches on `device`, the same images in the same order with the same crops, flips and colours.

    The split is held on the device if half of `free_bytes` (default: of what is free there) is enough for it.
    """

    def __init__(
        self, loader: TrainLoader, device: torch.device, say: Callable[[str], None], free_bytes: int | None = None
    ) -> None:
        self._loader, self._device, self._say, self._free_bytes = loader, device, say, free_bytes
        self._resident: ResidentPictures | None = None
        self._is_begun = False

    @property
    def split(self) -> Split:
        """The images."""
        return self._loader.split

    @property
    def options(self) -> LoaderOptions:
        """How batches are made."""
        return self._loader.options

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass."""
        return self._loader.steps_per_epoch

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[DeviceBatch]:
        """The batches of one pass, from `first_step` of it on.

        Raises:
            DataError: as the loader's own; of a split that is held, before the first batch.
        """
        self._begin()
        steps: Iterable[Any] = range(first_step, self.steps_per_epoch)
        work: Callable[[Any], DeviceBatch] = self._upload
        if self._resident:
            work = partial(self._draw, self._resident, epoch, self._loader.order(epoch))
        else:
            steps = self._loader.epoch(epoch, first_step)
        stream = None if self._device.type == "cpu" else torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

        def ready(step: Any) -> DeviceBatch:
            with _all_done_on(stream):
                return work(step)

        for batch in prefetch(ready, steps, workers=1, ahead=AHEAD):
            if stream:
                for tensor in (batch.images, batch.labels, batch.noise):
                    if tensor is not None:  # its memory is not given away while the step may still read it
                        tensor.record_stream(torch.cuda.current_stream(self._device))
            yield batch

    def _begin(self) -> None:
        """Hold the split, the first time."""
        if self._is_begun:
            return
        free = self._free_bytes or torch.cuda.mem_get_info(self._device)[0]
        self._resident = hold_on(self._device, self._loader, free)
        self._is_begun = True
        if self._resident:
            taken = self._resident.pixels.nbytes
            self._say(f"{len(self.split):,} images are held on {self._device}, {taken / 1e9:.1f} GB")

    def _draw(self, resident: ResidentPictures, epoch: int, order: NDArray[np.int64], step: int) -> DeviceBatch:
        draws = self._loader.draws(epoch, order, step)
        sound = resident.is_sound[draws.indices]
        noise = None if draws.noise is None else draws.noise[sound]
        draws = Draws(draws.indices[sound], draws.offsets[sound], draws.flips[sound], noise)
        return self._with_labels(resident.crops(draws), draws.indices, noise)

    def _upload(self, batch: Batch) -> DeviceBatch:
        return self._with_labels(self._to_device(batch.images), batch.indices, batch.noise)

    def _with_labels(
        self, images: Tensor, indices: NDArray[np.int64], noise: NDArray[np.float32] | None
    ) -> DeviceBatch:
        labels = self._to_device(self.split.labels[indices])
        return DeviceBatch(images, labels, None if noise is None else self._to_device(noise), indices)

    def _to_device(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self._device.type == "cpu" else tensor.pin_memory().to(self._device, non_blocking=True)


@contextmanager
def _all_done_on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Work goes on `stream`, and is done at the end."""
    if stream is None:
        yield
        return
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()
