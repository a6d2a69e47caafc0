"""A job over the images of a collection, cut into parts: which there are, whose they are, which are done.

Parts are cut by the data alone, never by the processes: these take every so-manieth part each and tell each other
nothing, so that their number may change from one call to the next. A part that is there is done. `_parts.json` says
what the folder holds parts of, so that nothing else is mixed in. Everything beside the parts has a name that begins
with `_` or `.`, which readers of a folder as one table pass over.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import remove_leftovers, write_whole
from alexnet.data.damaged import ALWAYS_BORNE
from alexnet.errors import DataError, ImageError, InputError
from alexnet.spans import which_of

MANIFEST = "_parts.json"
VERSION = 1
# Ours: whole batches of 128, so that the parts are made of the batches of one pass over everything.
IMAGES_PER_PART = 10_240
# Facts whose values say nothing to people.
_DIGESTS = ("weights", "data")


@dataclass(frozen=True)
class Process:
    """One of `count` processes that share a job, from 0."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that speaks."""
        return self.rank == 0


class Part(NamedTuple):
    """The images from `start` to before `stop`, and the file of what is found out about them."""

    path: Path
    start: int
    stop: int

    @property
    def indices(self) -> NDArray[np.int64]:
        """Their places in the collection."""
        return np.arange(self.start, self.stop)


class Content(Protocol):
    """What a part that is there says of itself."""

    @property
    def images(self) -> int:
        """How many images it is about."""

    @property
    def errors(self) -> Sequence[tuple[str, str]]:
        """Path and reason of each image that was left out."""


T = TypeVar("T", bound=Content)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to be found out about `num_images` images, in a folder that is made.

    `facts`: all that decides what comes out, and in which format, as JSON has it.

    Raises:
        DataError: no images.
        InputError: parts of less than one image.
    """

    folder: Path
    suffix: str
    facts: Mapping[str, Any]
    num_images: int
    images_per_part: int = IMAGES_PER_PART

    def __post_init__(self) -> None:
        if self.images_per_part < 1:
            raise InputError(f"parts of {self.images_per_part} images; they must have at least 1")
        if self.num_images < 1:
            raise DataError("no images")

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of them, in order: part-00000-of-00002.npz, say, and the last perhaps smaller."""
        starts = range(0, self.num_images, self.images_per_part)
        return tuple(
            Part(
                self.folder / f"part-{number:05d}-of-{len(starts):05d}{self.suffix}",
                start,
                min(start + self.images_per_part, self.num_images),
            )
            for number, start in enumerate(starts)
        )

    def count_done(self) -> int:
        """How many parts are there by now."""
        return sum(part.path.is_file() for part in self.parts)

    def begin(self) -> None:
        """Make the folder and say in it what it is for, unless that is done. Several processes may do so at once.

        Raises:
            InputError: it holds something else, or parts of another job.
            OSError: it cannot be made or written.
        """
        if blocking := [path for path in (self.folder, *self.folder.parents) if path.exists() and not path.is_dir()]:
            raise InputError(f"{blocking[0]} is a file, not a folder for parts; choose another --out")
        self.folder.mkdir(parents=True, exist_ok=True)
        # Looked at before the manifest: what another process puts there comes after its manifest.
        held = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        manifest = self.folder / MANIFEST
        if not manifest.exists():
            if held:
                raise InputError(f"{self.folder} holds something else ({held[0]}); choose another --out")
            with write_whole(manifest) as whole:
                whole.write_text(json.dumps(self._manifest, indent=2) + "\n", encoding="utf-8")
        self._check(manifest)

    @property
    def _manifest(self) -> dict[str, Any]:
        cut = {"images": self.num_images, "images_per_part": self.images_per_part}
        manifest: dict[str, Any] = json.loads(json.dumps({"version": VERSION, **cut, **self.facts}))
        return manifest

    def _check(self, manifest: Path) -> None:
        theirs, ours = read_manifest(manifest), self._manifest
        for name in {**ours, **theirs}:
            if theirs.get(name) != ours.get(name):
                there, here = json.dumps(theirs.get(name)), json.dumps(ours.get(name))
                difference = (
                    f"other {name}" if name in _DIGESTS else f"another job: {name} is {there} there, and {here} here"
                )
                raise InputError(f"{self.folder} holds parts of {difference}; choose another --out")


class JobInterrupt(KeyboardInterrupt):
    """Ctrl-C in the midst of a job, the whole parts of which stay; its text says how many there are."""


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What this process has done of a job. `own`: what its parts hold, made now or before.

    made: parts made now, of `made_images` images in `seconds`.
    """

    job: Job
    read: Callable[[Path], T]
    own: tuple[T, ...]
    made: int
    made_images: int
    seconds: float

    @property
    def errors(self) -> list[tuple[str, ImageError]]:
        """Path and reason of every image that was left out of this process's parts."""
        return [(path, ImageError(reason)) for content in self.own for path, reason in content.errors]

    @property
    def images(self) -> int:
        """How many images this process's parts are about."""
        return sum(content.images for content in self.own)

    @property
    def images_per_second(self) -> float | None:
        """Of this process; None where all of its parts were there."""
        return self.made_images / self.seconds if self.made else None

    def read_all(self) -> tuple[T, ...] | None:
        """What the parts of all processes hold; None unless every one is there by now, and whole."""
        if self.job.count_done() < len(self.job.parts):
            return None
        found = list[T]()
        for part in self.job.parts:
            if (content := _read_if_whole(part, self.read)) is None:
                return None
            found.append(content)
        return tuple(found)


def this_process() -> Process:
    """Which process this is, by what torchrun or a scheduler says in RANK and WORLD_SIZE; alone where nothing does.

    Raises:
        InputError: only one of them is set, or they do not fit together.
    """
    said = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    if all(value is None for value in said.values()):
        return Process()
    for name, other in (("RANK", "WORLD_SIZE"), ("WORLD_SIZE", "RANK")):
        if said[name] is None:
            raise InputError(f"{other} is set, but not {name}; set both, as torchrun does, or neither")
    if not (place := which_of(said["RANK"], said["WORLD_SIZE"])):
        raise InputError(
            f"RANK is {said['RANK']} and WORLD_SIZE {said['WORLD_SIZE']}; RANK is a number from 0 to below WORLD_SIZE"
        )
    return Process(*place)


def work(
    job: Job,
    process: Process,
    make: Callable[[Part], object],
    read: Callable[[Path], T],
    skipped: Callable[[int], object] | None = None,
) -> Outcome[T]:
    """Make those of this process's parts that are not there, one after the other.

    `make` writes the file of a part whole or not at all; `read` says what one holds, and raises `DataError` for a
    damaged one, which is made again. `skipped` is called with the number of images of a part that was there.

    Raises:
        InputError: see `Job.begin`.
        JobInterrupt: Ctrl-C.
        Exception: what `make` raises.
    """
    job.begin()
    own, made, made_images, start = list[T](), 0, 0, perf_counter()
    try:
        for part in job.parts[process.rank :: process.count]:
            content = _read_if_whole(part, read)
            if content is None:
                part.path.unlink(missing_ok=True)  # a damaged one: the others would take it for done
                make(part)
                content = read(part.path)
                made, made_images = made + 1, made_images + part.stop - part.start
            elif skipped:
                skipped(part.stop - part.start)
            own.append(content)
    except KeyboardInterrupt:
        raise JobInterrupt(f"{job.count_done():,} of {len(job.parts):,} parts are in {job.folder}") from None
    outcome = Outcome(
        job=job,
        read=read,
        own=tuple(own),
        made=made,
        made_images=made_images,
        seconds=perf_counter() - start,
    )
    if job.count_done() == len(job.parts):
        remove_leftovers(job.folder)  # nobody writes there any more
    return outcome


def check_damage(part: Part, errors: Sequence[tuple[str, ImageError]]) -> None:
    """Refuse a part most of whose images cannot be read: a part that is there is never looked at again.

    Raises:
        DataError: more than half of them are damaged, and more than ten.
    """
    size = part.stop - part.start
    if len(errors) > max(ALWAYS_BORNE, size // 2):
        raise DataError(
            f"more than half of the {size:,} images of {part.path.stem} cannot be read, the last one is "
            f"{errors[-1][1]}; are the data still there? the same command goes on"
        )


def read_manifest(path: Path) -> dict[str, Any]:
    """What the parts in the folder of `path` are of.

    Raises:
        InputError: it cannot be read, or is no such file.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); choose another --out") from None
    if not isinstance(manifest, dict) or "images_per_part" not in manifest:
        raise InputError(f"{path} does not say what the parts beside it are of; choose another --out")
    return manifest


def _read_if_whole(part: Part, read: Callable[[Path], T]) -> T | None:
    try:
        return read(part.path) if part.path.is_file() else None
    except DataError:
        return None
