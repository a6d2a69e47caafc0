"""An image becomes a small JPEG file, and what its pixels then are is added up."""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.images import open_header, open_image
from alexnet.data.odd import oddities
from alexnet.data.prepare.options import PrepareOptions
from alexnet.data.prepare.sources import Source
from alexnet.data.statistics import PixelSums
from alexnet.data.trees import Entry
from alexnet.errors import ImageError
from alexnet.preprocess import INTERPOLATION, canvas_size, draw_window

# 4:4:4. Of 96 photographs at 256 pixels, quality 95 gives 41.6 dB in 34 KiB; with halved colour planes (4:2:0) 38.1 dB
# in 26 KiB, and at quality 98 39.5 dB in 38 KiB.
_FULL_COLOR = 0
_STEM_LENGTH = 40
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_-]+")


class Job(NamedTuple):
    """One image of a shard: the beginning of its key, its class, and where it is."""

    number: str
    label: int
    entry: Entry

    @property
    def key(self) -> str:
        """Unique by its number, and by the name of its file known to people; without a dot, where keys would end."""
        name = self.entry.path.rpartition("/")[2]
        stem = name.rpartition(".")[0] or name
        return f"{self.number}-{_NOT_IN_KEYS.sub('_', stem)[:_STEM_LENGTH]}".rstrip("-")


class Damaged(NamedTuple):
    """An image that was left out, and why."""

    path: str
    kind: str
    reason: str


@dataclass
class Shrunk:
    """What has become of some images: samples for `write_shard`, and counts."""

    sums: PixelSums
    samples: list[tuple[str, bytes, str, int]] = field(default_factory=list)
    labels: Counter[int] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    damaged: list[Damaged] = field(default_factory=list)

    @property
    def num_images(self) -> int:
        """Those that were not left out."""
        return self.labels.total()

    def add_counts(self, other: "Shrunk") -> None:
        """All but the samples of others."""
        self.sums += other.sums
        self.labels += other.labels
        self.odd += other.odd
        self.damaged += other.damaged


def shrink(source: Source, options: PrepareOptions, add_up: bool, jobs: Sequence[Job]) -> Shrunk:
    """Shrink a few images, at most 257, and `add_up` their pixels as a training run will decode them.

    Used by several threads: Pillow works outside the interpreter lock.
    """
    canvas = canvas_size(options.resize)
    done = Shrunk(PixelSums.zero(canvas))
    files = _shrink_each(source, options, jobs, done)
    if add_up:
        done.sums += PixelSums.over(map(_decode, files), canvas)
    else:
        deque(files, maxlen=0)
    return done


def _shrink_each(source: Source, options: PrepareOptions, jobs: Sequence[Job], done: Shrunk) -> Iterator[bytes]:
    """The JPEG file of every image that can be read; all else goes into `done`."""
    for job in jobs:
        path = job.entry.path
        try:
            content = source.read(job.entry)
            kinds = oddities(content, path) if isinstance(content, bytes) else ()
            picture = open_image(content, path)
        except ImageError as error:
            done.damaged.append(Damaged(path, error.kind, str(error).removeprefix(f"{path}: ")))
            continue
        jpeg = _to_jpeg(draw_window(picture, options.resize, INTERPOLATION), options.quality)
        done.samples.append((job.key, jpeg, "jpg", job.label))
        done.labels[job.label] += 1
        done.odd.update(kinds)
        yield jpeg


def _decode(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(open_header(BytesIO(jpeg))).transpose(2, 0, 1)


def _to_jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=_FULL_COLOR)
    return file.getvalue()
