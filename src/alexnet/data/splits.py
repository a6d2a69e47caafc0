"""What a data set is: classes, and splits that give images one by one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.errors import DataError


@dataclass(frozen=True)
class ClassInfo:
    """One class: its place in the logits, what people call it, and its WordNet id where it has one."""

    index: int
    name: str
    wnid: str | None = None


def first_name(label: str) -> str:
    """The first of a class's names: ImageNet's are lists of synonyms."""
    return label.split(",")[0]


class Split(Protocol):
    """Images in a fixed order, with random access. Picklable, and safe to use from several threads."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class indices."""

    @property
    def paths(self) -> Sequence[str]:
        """A name of every image, for messages and outputs."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with its name where it is damaged."""


@runtime_checkable
class EncodedSplit(Protocol):
    """A split that also gives the files of its images."""

    def encoded(self, index: int) -> bytes:
        """The file of one image as it was found."""


@dataclass(frozen=True)
class DataSet:
    """Classes and splits (`train`, `val`, `test`). `fingerprint` changes when the content does.

    `statistics` is a file with those of the training images, all of one size, where they were prepared with them.
    """

    name: str
    classes: tuple[ClassInfo, ...]
    splits: Mapping[str, Split]
    fingerprint: str
    statistics: Path | None = None

    @property
    def held_out(self) -> str | None:
        """The split that errors are measured on: val, else test, else none."""
        return next((name for name in ("val", "test") if name in self.splits), None)

    def split(self, *names: str) -> Split:
        """The first of these splits that the data set has.

        Raises:
            DataError: it has none of them.
        """
        for name in names:
            if name in self.splits:
                return self.splits[name]
        raise DataError(f"{self.name} has no {' or '.join(names)} images; it has: {', '.join(self.splits)}")


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images held in memory, uint8 RGB (N, H, W, 3)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB."""
        return Image.fromarray(self.images[index])


def unnamed_classes(count: int) -> tuple[ClassInfo, ...]:
    """Classes of which only the number is known, named by it."""
    return tuple(ClassInfo(index, str(index)) for index in range(count))


def check_labels(labels: NDArray[np.int64], paths: Sequence[str], classes: Sequence[ClassInfo]) -> None:
    """Refuse labels that no class has.

    Raises:
        DataError: names the first such image.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{paths[first]}: label {labels[first]} is outside the {len(classes)} classes (0 to {len(classes) - 1}); "
            "correct the label or the list of classes"
        )


def check_classes(classes: Iterable[ClassInfo], where: str) -> tuple[ClassInfo, ...]:
    """The classes in the order of their indices.

    Raises:
        DataError: fewer than two, or indices that are not 0, 1, 2 ...
    """
    ordered = tuple(sorted(classes, key=lambda info: info.index))
    if len(ordered) < 2:
        raise DataError(f"{where}: {len(ordered)} class; a classifier needs at least two")
    if [info.index for info in ordered] != list(range(len(ordered))):
        raise DataError(f"{where}: class indices must be 0 to {len(ordered) - 1}, each once")
    return ordered
