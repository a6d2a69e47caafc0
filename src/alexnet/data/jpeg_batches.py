"""Batches of cuda-convnet that hold JPEG files: 1,024 strings in a pickle, each read where it stands when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.images import open_image
from alexnet.data.pickles import Span
from alexnet.errors import DataError, ImageError


class JpegBatch(NamedTuple):
    """One file: where in it the images are, int64 (N, 2) of first byte and size, and int64 (N,) labels."""

    spans: NDArray[np.int64]
    labels: NDArray[np.int64]
    path: Path

    @classmethod
    def of(cls, strings: list[Any], labels: NDArray[np.int64], path: Path) -> Self:
        """A batch of what the pickle at `path` holds.

        Raises:
            DataError: not one JPEG file a label, or files that do not stand in the pickle as they are.
        """
        if not all(isinstance(string, Span) for string in strings):
            raise DataError(f"{path}: expected whole JPEG files as binary strings; write it with pickle protocol 2")
        if len(strings) != len(labels):
            raise DataError(f"{path}: {len(strings)} images and {len(labels)} labels; copy it again")
        return cls(np.array(strings, np.int64).reshape(-1, 2), labels, path)


@dataclass(frozen=True, eq=False)
class JpegSplit:
    """Images of several batches: `spans` is int64 (N, 3) of file number, first byte and size."""

    files: Sequence[Path]
    spans: NDArray[np.int64]
    labels: NDArray[np.int64]
    paths: Sequence[str]

    @classmethod
    def of(cls, batches: list[JpegBatch], labels: NDArray[np.int64], paths: Sequence[str]) -> Self:
        """The images of `batches` in their order."""
        numbered = [np.insert(batch.spans, 0, number, axis=1) for number, batch in enumerate(batches)]
        return cls([batch.path for batch in batches], np.concatenate(numbered), labels, paths)

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self, index: int) -> bytes:
        """The file of one image as it stands in its batch. Raises `ImageError` with the names of batch and number."""
        file_number, start, size = map(int, self.spans[index])
        try:
            with self.files[file_number].open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError as error:
            raise ImageError(f"{self.paths[index]}: cannot be read ({error.strerror or error})") from None

    def image(self, index: int) -> Image.Image:
        """The picture in mode RGB. Raises `ImageError` with the names of batch and number."""
        return open_image(self.encoded(index), name=self.paths[index])
