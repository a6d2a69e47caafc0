"""What is found out about images, a row for each: an NPZ file, or a Parquet file with the same rows.

NPZ: an array for each column, then `labels` int64 (N,), -1 where there is none; `paths` (N,); `root`, the folder they
start from, or nothing where they lead to no files; `classes`, the names of the labels; `error_paths` and `errors`, the
images left out and why; and the arrays and words of the table. No pickles.

Parquet: `path`, `label`, then the columns, where a row is more than one number as a list of fixed size. The metadata
`alexnet`, of the file and of its Arrow schema, is JSON with `shapes` (of a row, by column), `root`, `classes`,
`errors`, and the words.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.atomic import write_whole
from alexnet.data.collection import Collection
from alexnet.data.npz import NpzWriter, read_array, read_words, write_npz
from alexnet.errors import DataError, ImageError, MissingExtraError

METADATA_KEY = "alexnet"
# Where Arrow keeps its schema in a file. Its readers see the metadata there alone, other readers those of the file.
_SCHEMA_KEY = "ARROW:schema"
_WORDS_PER_BLOCK = 4096
# Of a row group, which is read as a whole. Ours.
_BYTES_PER_GROUP = 32 << 20

Columns = Mapping[str, NDArray[Any]]  # rows (n, ...) by name
Block = tuple[NDArray[np.int64], Columns]  # places in the collection (n,), and their rows


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Rows about images of a collection, in its order, made as they are taken from `blocks`.

    empty: the columns without a row, for a table of no images. errors: path and reason of every image left out, known
    when the blocks are taken. words, arrays: what belongs to no image.
    """

    collection: Collection
    empty: Columns
    blocks: Iterable[Block]
    errors: Sequence[tuple[str, ImageError]]
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    arrays: Columns = field(default_factory=dict)

    @property
    def root(self) -> list[str]:
        """The folder that the paths start from, if they lead to files."""
        return [] if self.collection.root is None else [str(self.collection.root.resolve())]

    @property
    def classes(self) -> list[str]:
        """The names of the labels."""
        return [info.name for info in self.collection.classes]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a written table says of itself: how many rows it has, and paths and reasons of what was left out."""

    images: int
    errors: tuple[tuple[str, str], ...]


def write_npz_table(path: str | Path, table: Table) -> None:
    """Write a table as NPZ, whole or not at all. Memory holds a block of it at a time.

    Raises:
        Exception: what taking the blocks raises.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    images, places = table.collection.images, list[int]()
    with write_npz(path) as npz:
        for indices, columns in _with_none(table):
            places += indices.tolist()
            _append(npz, columns)
        npz.append("labels", images.labels[places])
        _append_words(npz, "paths", [images.paths[place] for place in places])
        _append_words(npz, "root", table.root)
        _append_words(npz, "classes", table.classes)
        _append_words(npz, "error_paths", [image for image, _ in table.errors])
        _append_words(npz, "errors", [str(error) for _, error in table.errors])
        for name, words in table.words.items():
            _append_words(npz, name, words)
        _append(npz, table.arrays)


def read_npz_rows(path: str | Path) -> Rows:
    """What an NPZ table holds.

    Raises:
        DataError: no such file, or a damaged one.
    """
    errors = zip(read_words(path, "error_paths"), read_words(path, "errors"), strict=False)
    return Rows(images=len(read_array(path, "labels", np.int64, (None,))), errors=tuple(errors))


def write_parquet_table(path: str | Path, table: Table) -> None:
    """Write a table as Parquet, whole or not at all. Memory holds one row group, of some 32 MiB, at a time.

    Raises:
        MissingExtraError: pyarrow is not installed.
        Exception: what taking the blocks raises.
        OSError: the folder is missing or read-only, or the disk is full.
    """
    pa, parquet = import_pyarrow()
    schema = pa.schema({"path": pa.string(), "label": pa.int64()} | {k: _type(pa, v) for k, v in table.empty.items()})
    with (
        write_whole(path) as whole,
        whole.open("wb") as file,
        parquet.ParquetWriter(file, schema, store_schema=False) as writer,
    ):
        for indices, columns in _grouped(table.blocks):
            arrays = [
                pa.array([_as_text(table.collection.images.paths[place]) for place in indices.tolist()], pa.string()),
                pa.array(table.collection.images.labels[indices]),
                *(_as_arrow(pa, rows) for rows in columns.values()),
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        about = {
            "shapes": {name: rows.shape[1:] for name, rows in table.empty.items()},
            "root": table.root,
            "classes": table.classes,
            "errors": [[image, str(error)] for image, error in table.errors],
            **table.words,
        }
        # The errors are known only now, so that the schema is put in by us, at the end.
        metadata = {METADATA_KEY: json.dumps(about)}
        arrow = b64encode(schema.with_metadata(metadata).serialize())
        writer.add_key_value_metadata({**metadata, _SCHEMA_KEY: arrow})


def read_parquet_rows(path: str | Path) -> Rows:
    """What a Parquet table holds.

    Raises:
        DataError: no such file, or a damaged one.
        MissingExtraError: pyarrow is not installed.
    """
    _, parquet = import_pyarrow()
    try:
        found = parquet.read_metadata(path)
        about = json.loads(found.metadata[METADATA_KEY.encode()])
        errors = tuple((str(image), str(error)) for image, error in about["errors"])
        return Rows(images=found.num_rows, errors=errors)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: damaged, or no Parquet file of images ({error})") from None


def import_pyarrow() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        MissingExtraError: they are not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow", "parquet") from None
    return pyarrow, parquet


def _with_none(table: Table) -> Iterator[Block]:
    """The blocks, after one without rows: so that all columns are there where no image is."""
    yield np.empty(0, np.int64), table.empty
    yield from table.blocks


def _append(npz: NpzWriter, columns: Columns) -> None:
    for name, rows in columns.items():
        npz.append(name, rows)


def _append_words(npz: NpzWriter, name: str, words: Sequence[str]) -> None:
    """Words as fixed-width Unicode, as NumPy would store them, without all of them being an array at once."""
    dtype = f"<U{max(map(len, words), default=1) or 1}"
    for start in range(0, max(1, len(words)), _WORDS_PER_BLOCK):
        npz.append(name, np.array(words[start : start + _WORDS_PER_BLOCK], dtype))


def _grouped(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks put together until they are large enough for a row group."""
    kept: list[Block] = []
    for indices, columns in blocks:
        kept.append((indices, columns))
        if sum(rows.nbytes for _, columns in kept for rows in columns.values()) >= _BYTES_PER_GROUP:
            yield _joined(kept)
            kept = []
    if kept:
        yield _joined(kept)


def _joined(blocks: Sequence[Block]) -> Block:
    names = blocks[0][1]
    indices = np.concatenate([indices for indices, _ in blocks])
    return indices, {name: np.concatenate([columns[name] for _, columns in blocks]) for name in names}


def _type(pa: Any, rows: NDArray[Any]) -> Any:
    one = pa.string() if rows.dtype.kind == "U" else pa.from_numpy_dtype(rows.dtype)
    return pa.list_(one, int(np.prod(rows.shape[1:]))) if rows.ndim > 1 else one


def _as_arrow(pa: Any, rows: NDArray[Any]) -> Any:
    flat = rows.reshape(-1)
    values = pa.array(list(map(_as_text, flat.tolist())), pa.string()) if rows.dtype.kind == "U" else pa.array(flat)
    return pa.FixedSizeListArray.from_arrays(values, int(np.prod(rows.shape[1:]))) if rows.ndim > 1 else values


def _as_text(word: str) -> str:
    """Bytes of file names that are not UTF-8, which Parquet has no place for, as escapes."""
    return word.encode("utf-8", "backslashreplace").decode()
