"""A part of a data set: some of its images, some of its classes, a few images of each class."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.splits import ClassInfo, DataSet, EncodedSplit, Split, check_classes
from alexnet.errors import DataError


@dataclass(frozen=True, eq=False)
class SubsetSplit:
    """The images of `split` at `indices` (N,), with labels (N,) of their own; a Split."""

    split: Split
    indices: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def paths(self) -> Sequence[str]:
        """The names that the images have in the whole."""
        names = self.split.paths
        return tuple(names[index] for index in self.indices.tolist())

    def __len__(self) -> int:
        return len(self.indices)

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` as the whole split does."""
        return self.split.image(int(self.indices[index]))


class EncodedSubset(SubsetSplit):
    """The same of a split that gives the files of its images, and so does this."""

    def encoded(self, index: int) -> bytes:
        """The file of one image as it was found."""
        assert isinstance(self.split, EncodedSplit)
        return self.split.encoded(int(self.indices[index]))


def choose(split: Split, indices: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> SubsetSplit:
    """The images of `split` at `indices`, in that order; `labels` (N,) in the place of their own."""
    kind = EncodedSubset if isinstance(split, EncodedSplit) else SubsetSplit
    return kind(split, indices, split.labels[indices] if labels is None else labels)


def subset(dataset: DataSet, classes: Sequence[int], *, train_per_class: int | None = None, seed: int = 0) -> DataSet:
    """The images of some classes, which are numbered anew in the order given, in every split.

    `train_per_class`: of the training images at most so many a class, drawn by `seed`. Its name says what it is.

    Raises:
        DataError: fewer than two classes, or a split without images of them.
    """
    infos = [replace(dataset.classes[index], index=place) for place, index in enumerate(classes)]
    splits = {name: _of_classes(split, classes, f"{dataset.name} {name}") for name, split in dataset.splits.items()}
    name = f"{dataset.name}-{len(infos)}-classes"
    if train_per_class is not None:
        splits["train"] = _at_most(dataset.split("train"), splits["train"], train_per_class, seed)
        name += f"-{train_per_class}-images-{seed}"
    said = repr((dataset.fingerprint, list(classes), train_per_class, seed))
    return DataSet(
        name=name,
        classes=check_classes(infos, name),
        splits=splits,
        fingerprint=hashlib.sha256(said.encode()).hexdigest()[:32],
    )


def hash_order(classes: Sequence[ClassInfo]) -> list[int]:
    """The indices of classes in an order that depends on their names alone, and on nothing that is known of them."""

    def key(index: int) -> bytes:
        info = classes[index]
        return hashlib.sha256((info.wnid or info.name).encode("utf-8", "surrogateescape")).digest()

    return sorted(range(len(classes)), key=key)


def _of_classes(split: Split, classes: Sequence[int], where: str) -> SubsetSplit:
    index_of = np.full(1 + max(int(split.labels.max()), *classes), -1, np.int64)
    index_of[list(classes)] = np.arange(len(classes))
    labels = index_of[split.labels]
    if not (indices := np.flatnonzero(labels >= 0)).size:
        raise DataError(f"{where} has no images of the {len(classes)} classes asked for; choose others")
    return choose(split, indices, labels[indices])


def _at_most(whole: Split, part: SubsetSplit, most: int, seed: int) -> SubsetSplit:
    """At most so many images a class, in the order of the whole."""
    order = np.random.default_rng(seed).permutation(len(part))
    kept = np.concatenate([order[part.labels[order] == label][:most] for label in np.unique(part.labels)])
    kept.sort()
    return choose(whole, part.indices[kept], part.labels[kept])
