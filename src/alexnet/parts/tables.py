"""Features and predictions in parts: tables of a part's images, as NPZ or as Parquet.

The rows are those of one file of everything, in the same order; NPZ parts of features have the arrays of such a file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexnet.data.collection import Collection
from alexnet.data.loader import canvas_blocks
from alexnet.data.tables import (
    Block,
    Columns,
    Rows,
    Table,
    import_pyarrow,
    read_npz_rows,
    read_parquet_rows,
    write_npz_table,
    write_parquet_table,
)
from alexnet.engines import Precision
from alexnet.errors import DataError, ImageError
from alexnet.features import Features, feature_blocks, feature_table
from alexnet.parts.job import IMAGES_PER_PART, MANIFEST, Job, Outcome, Part, Process, check_damage, read_manifest, work
from alexnet.predict import Classifier
from alexnet.preprocess import Views
from alexnet.weights.digest import weights_digest

FileFormat = Literal["npz", "parquet"]
Errors = list[tuple[str, ImageError]]


class _Format(NamedTuple):
    write: Callable[[Path, Table], None]
    read: Callable[[Path], Rows]


_FORMATS: Mapping[FileFormat, _Format] = {
    "npz": _Format(write_npz_table, read_npz_rows),
    "parquet": _Format(write_parquet_table, read_parquet_rows),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """How a collection's tables are made: by what, of what, where, and how much at a time.

    precision: what the classifier was asked to compute in; parts of one job are all computed in one.

    Raises:
        MissingExtraError: Parquet without pyarrow.
    """

    classifier: Classifier
    collection: Collection
    folder: Path
    file_format: FileFormat = "npz"
    images_per_part: int = IMAGES_PER_PART
    precision: Precision = "auto"
    batch_size: int = 128
    workers: int = 2
    progress: Callable[[int], object] = lambda _: None

    def __post_init__(self) -> None:
        if self.file_format == "parquet":
            import_pyarrow()

    def features(self, probe: Features, process: Process) -> Outcome[Rows]:
        """Write what layers say about the central view of every image: this process's parts.

        `probe`: what `probe_features` gives of these layers. A Parquet file has a column for each, by its name.

        Raises:
            DataError: no images, or a part of which most are damaged.
            InputError: the folder holds something else, or parts of another job.
            OSError: the folder cannot be written, or the disk is full.
        """

        def table(part: Part, errors: Errors) -> Table:
            blocks = feature_blocks(
                self.classifier,
                self.collection.images,
                list(probe),
                indices=part.indices,
                batch_size=self.batch_size,
                workers=self.workers,
                left_out=lambda path, error: errors.append((path, error)),
            )
            if self.file_format == "npz":
                return feature_table(self.collection, probe, blocks, errors)
            empty = {layer: rows[:0] for layer, rows in probe.items()}
            words = {"layers": list(probe)}
            return Table(collection=self.collection, empty=empty, blocks=blocks, errors=errors, words=words)

        return self._work({"job": "features", "layers": list(probe)}, table, process)

    def predictions(self, top: int, views: Views, process: Process) -> Outcome[Rows]:
        """Write the `top` most probable classes of every image, best first: this process's parts.

        Columns: `top_index` int64 (n, top), `top_probability` float32 (n, top), and in Parquet `top_label`; an NPZ file
        has the names of all classes once, as `top_classes`.

        Raises:
            InputError: `top` is below one; or see `features`.
            DataError, OSError: see `features`.
        """
        classes = [info.name for info in self.classifier.classes]
        names = np.array(classes)

        def columns(probs: NDArray[np.float32]) -> Columns:
            index = self.classifier.best(probs, top)
            found: dict[str, NDArray[Any]] = {"top_index": index}
            if self.file_format == "parquet":
                found["top_label"] = names[index]
            return found | {"top_probability": np.take_along_axis(probs, index, axis=1)}

        def blocks(part: Part, errors: Errors) -> Iterator[Block]:
            canvases = canvas_blocks(
                self.collection.images,
                self.classifier.preprocessing,
                indices=part.indices,
                batch_size=self.batch_size,
                workers=self.workers,
                left_out=lambda path, error: errors.append((path, error)),
            )
            for indices, images in canvases:
                yield indices, columns(self.classifier.probabilities(images, views))

        empty = columns(np.empty((0, len(classes)), np.float32))
        words = {} if self.file_format == "parquet" else {"top_classes": classes}

        def table(part: Part, errors: Errors) -> Table:
            found = blocks(part, errors)
            return Table(collection=self.collection, empty=empty, blocks=found, errors=errors, words=words)

        return self._work({"job": "predictions", "top": top, "views": views}, table, process)

    def _work(
        self, facts: Mapping[str, Any], table: Callable[[Part, Errors], Table], process: Process
    ) -> Outcome[Rows]:
        job = Job(
            folder=self.folder,
            suffix=f".{self.file_format}",
            facts={
                **facts,
                "net": self.classifier.weights.spec.name,
                "weights": weights_digest(self.classifier.weights),
                "engine": self.classifier.engine.name,
                "precision": self.precision,
                "data": self.collection.digest(),
                "format": self.file_format,
            },
            num_images=len(self.collection.images),
            images_per_part=self.images_per_part,
        )
        write, read = _FORMATS[self.file_format]

        def make(part: Part) -> None:
            errors: Errors = []
            made = table(part, errors)
            write(part.path, replace(made, blocks=self._watched(part, made.blocks, errors)))

        return work(job, process, make, read, self.progress)

    def _watched(self, part: Part, blocks: Iterable[Block], errors: Errors) -> Iterator[Block]:
        for indices, columns in blocks:
            yield indices, columns
            self.progress(len(indices))
            check_damage(part, errors)
        check_damage(part, errors)


def feature_parts(folder: Path) -> tuple[Path, ...]:
    """The NPZ files of features in a folder, in order, without those of no images.

    Raises:
        DataError: the folder holds something else, or not yet all parts.
    """
    manifest = read_manifest(folder / MANIFEST)
    if (manifest.get("job"), manifest.get("format")) != ("features", "npz"):
        raise DataError(f"{folder} holds {manifest.get('job')} as {manifest.get('format')}, not features as npz")
    found = sorted(folder.glob("part-*-of-*.npz"))
    if not found or f"-of-{len(found):05d}." not in found[-1].name:
        raise DataError(
            f"{folder} has not all of its parts yet; give its alexnet features command again, which goes on"
        )
    if not (sound := tuple(path for path in found if read_npz_rows(path).images)):
        raise DataError(f"{folder} holds features of no images")
    return sound
