"""What is done and what is left: the plan with the results of every whole shard, one transaction each."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from alexnet.data.prepare.shrink import Damaged, Job, Shrunk
from alexnet.data.statistics import PixelSums
from alexnet.data.trees import Entry, to_bytes, to_text


class Shard(NamedTuple):
    """Images `first` to `last` of the plan; the split's own begin at `split_first`.

    `num_images` is what the file holds, and `digest` its name; None of a shard that was never whole.
    """

    id: int
    split: str
    number: int
    first: int
    last: int
    split_first: int
    num_images: int | None
    digest: str | None

    @property
    def file_name(self) -> str:
        """As the WebDataset convention has it."""
        return f"{self.split}-{self.number:05d}.tar"


class Ledger:
    """The plan at a path, and what has become of it. For one process and one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = sqlite3.connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def fact(self, name: str) -> Any:
        """What the plan says of the whole: settings, fingerprint, classes, unlabelled."""
        [(value,)] = self._rows.execute("SELECT value FROM fact WHERE name = ?", (name,))
        return json.loads(value)

    def num_images(self) -> int:
        """Of the plan, whatever has become of them."""
        return self._count("SELECT count(*) FROM image")

    def shards(self) -> list[Shard]:
        """All of the plan, in order."""
        rows = self._rows.execute(
            "SELECT id, split, number, first, last, split_first, images, digest FROM shard "
            "JOIN (SELECT split, min(first) AS split_first FROM shard GROUP BY split) USING (split) ORDER BY id"
        )
        return [Shard(*row) for row in rows]

    def jobs(self, shard: Shard) -> Iterator[Job]:
        """The images of a shard, in order."""
        rows = self._rows.execute(
            "SELECT id, image.label, path, size, modified_ns, archive, offset, packed_size, method, crc, fault, "
            "found.split, found.label "
            "FROM image JOIN found ON found.rowid = entry WHERE id BETWEEN ? AND ? ORDER BY id",
            (shard.first, shard.last),
        )
        for number, label, path, *known in rows:
            entry = Entry(to_text(path), *known)
            yield Job(f"{shard.split}-{number - shard.split_first:07d}", label, entry)

    def finish(self, shard: Shard, result: Shrunk, digest: str) -> None:
        """Note that a shard is whole, with all that is to be known of it: either all of it or nothing."""
        with self._rows as rows:
            rows.execute("UPDATE shard SET images = ?, digest = ? WHERE id = ?", (result.num_images, digest, shard.id))
            _add(rows, "sample", (((shard.split, label), count) for label, count in result.labels.items()))
            _add(rows, "odd", (((kind,), count) for kind, count in result.odd.items()))
            rows.executemany(
                "INSERT INTO damaged VALUES (?, ?, ?)",
                ((to_bytes(each.path), each.kind, each.reason) for each in result.damaged),
            )
            if shard.split == "train":
                _save_sums(rows, result.sums + self._sums(result.sums))

    def sums(self) -> PixelSums | None:
        """Over all training images of whole shards."""
        row = self._rows.execute("SELECT pixels, products, images FROM sums").fetchone()
        if row is None:
            return None
        pixels, products, num_images = row
        side = round((len(pixels) / 8 / 3) ** 0.5)
        return PixelSums(
            np.frombuffer(pixels, np.int64).reshape(3, side, side),
            np.frombuffer(products, np.int64).reshape(3, 3),
            num_images,
        )

    def damaged(self) -> Iterator[Damaged]:
        """The images that were left out, in order of their paths."""
        for path, kind, reason in self._rows.execute("SELECT path, kind, reason FROM damaged ORDER BY path, reason"):
            yield Damaged(to_text(path), kind, reason)

    def damaged_kinds(self) -> Mapping[str, int]:
        """Kind to number of images left out."""
        return dict(self._rows.execute("SELECT kind, count(*) FROM damaged GROUP BY kind ORDER BY kind"))

    def odd_kinds(self) -> Mapping[str, int]:
        """Kind to number of images that are unusual, and were prepared."""
        return dict(self._rows.execute("SELECT kind, images FROM odd ORDER BY kind"))

    def images_by_split(self) -> Mapping[str, int]:
        """Split to number of prepared images."""
        return dict(
            self._rows.execute("SELECT split, coalesce(sum(images), 0) FROM shard GROUP BY split ORDER BY split")
        )

    def digests(self) -> Mapping[str, str]:
        """File name to digest of every shard that has images."""
        return {shard.file_name: shard.digest for shard in self.shards() if shard.digest}

    def empty_classes(self) -> list[int]:
        """Classes that no training image is left of (of data without training images: no image at all)."""
        [(split,)] = self._rows.execute("SELECT split FROM shard ORDER BY split <> 'train' LIMIT 1")
        have = {label for (label,) in self._rows.execute("SELECT label FROM sample WHERE split = ?", (split,))}
        wanted = {
            label for (label,) in self._rows.execute("SELECT DISTINCT label FROM image WHERE split = ?", (split,))
        }
        return sorted(wanted - have)

    def first_change(self, entries: Iterator[Entry]) -> str:
        """What is different from the plan in a folder that now has these entries, in words."""
        self._rows.execute("CREATE TEMP TABLE now (path BLOB PRIMARY KEY, size INT, modified_ns INT) WITHOUT ROWID")
        rows = ((to_bytes(entry.path), entry.size, entry.modified_ns) for entry in entries)
        self._rows.executemany("INSERT INTO now VALUES (?, ?, ?)", rows)
        queries = {
            "is new": "SELECT path FROM now WHERE path NOT IN (SELECT path FROM found)",
            "is gone": "SELECT path FROM found WHERE path NOT IN (SELECT path FROM now)",
            "has changed": "SELECT path FROM found JOIN now USING (path) "
            "WHERE (found.size, found.modified_ns) <> (now.size, now.modified_ns)",
        }
        found = ((self._rows.execute(f"{query} LIMIT 1").fetchone(), words) for words, query in queries.items())
        return next((f"{to_text(row[0])} {words}" for row, words in found if row), "some of it is")

    def _count(self, query: str) -> int:
        [(count,)] = self._rows.execute(query)
        return int(count)

    def _sums(self, like: PixelSums) -> PixelSums:
        return self.sums() or PixelSums.zero((like.pixels.shape[1], like.pixels.shape[2]))


def _add(rows: sqlite3.Connection, table: str, counts: Iterator[tuple[tuple[Any, ...], int]]) -> None:
    """Add to the last column of rows that are named by the others."""
    for key, count in counts:
        marks = ",".join("?" * (len(key) + 1))
        rows.execute(
            f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT DO UPDATE SET images = images + excluded.images",
            (*key, count),
        )


def _save_sums(rows: sqlite3.Connection, sums: PixelSums) -> None:
    rows.execute("DELETE FROM sums")
    rows.execute("INSERT INTO sums VALUES (?, ?, ?)", (sums.pixels.tobytes(), sums.products.tobytes(), sums.num_images))
