"""Which image goes into which shard: all paths in one SQLite file, placed, shuffled and sorted there, not in memory."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

from alexnet.atomic import write_whole
from alexnet.data.folder import HELD_OUT_SHARE, draw, find_classes, find_layout
from alexnet.data.ilsvrc import folder_name
from alexnet.data.layout import Place, TreeShape
from alexnet.data.prepare.options import PrepareOptions
from alexnet.data.prepare.sources import LabelledImages, Source
from alexnet.data.splits import ClassInfo
from alexnet.data.trees import Entry, FolderTree, to_bytes, to_text

_ORDER_SEED = 2012  # ours; sequential readers see the images in this order
_SECONDS_BETWEEN_LINES = 10.0

# Names that people gave are blobs: not all of them are UTF-8.
_SCHEMA = """
CREATE TABLE found (path BLOB, size INT, modified_ns INT, archive INT, offset INT, packed_size INT, method INT,
                    crc INT, fault TEXT, split TEXT, label INT);
CREATE TABLE placed (entry INT, split TEXT, class BLOB, draw REAL, shuffle BLOB);
CREATE TABLE class (name BLOB PRIMARY KEY, label INT);
CREATE TABLE image (id INTEGER PRIMARY KEY, split TEXT, label INT, entry INT);
CREATE TABLE shard (id INTEGER PRIMARY KEY, split TEXT, number INT, first INT, last INT, images INT, digest TEXT);
CREATE TABLE sample (split TEXT, label INT, images INT, PRIMARY KEY (split, label));
CREATE TABLE odd (kind TEXT PRIMARY KEY, images INT);
CREATE TABLE damaged (path BLOB, kind TEXT, reason TEXT);
CREATE TABLE sums (pixels BLOB, products BLOB, images INT);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT);
"""


def write_plan(
    path: Path, source: Source, where: str, options: PrepareOptions, say: Callable[[str], None] = lambda _: None
) -> None:
    """Look through a source and write the plan, whole or not at all. Memory does not grow with the number of images.

    Now and then it is said how many were found.

    Raises:
        DataError: no images, or they do not fit together.
        InputError: options that do not fit the source.
    """
    with write_whole(path) as part, closing(sqlite3.connect(part)) as plan:
        plan.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        shape = TreeShape()
        plan.executemany("INSERT INTO found VALUES (?,?,?,?,?,?,?,?,?,?,?)", _found(source, plan, shape, say))
        if isinstance(source, LabelledImages):
            classes = source.classes
            _place(plan, lambda entry: (Place(entry.split, str(entry.label)), entry.path))
            names = [str(info.index) for info in classes]
        else:
            _keep_last(plan)
            classes = _place_tree(plan, shape, where, options)
            names = [folder_name(info) for info in classes]
        plan.executemany("INSERT INTO class VALUES (?, ?)", zip(map(to_bytes, names), range(len(names)), strict=True))
        _number(plan, options.shard_images)
        [(unlabelled,)] = plan.execute("SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM image)")
        facts = {
            "settings": options.settings(where),
            "fingerprint": source.fingerprint(_entries(plan)),
            "classes": [{"index": info.index, "wnid": info.wnid, "name": info.name} for info in classes],
            "unlabelled": unlabelled,
            "passed_over": dict(source.passed_over) if isinstance(source, FolderTree) else {},
        }
        plan.executemany("INSERT INTO fact VALUES (?, ?)", ((name, json.dumps(value)) for name, value in facts.items()))
        plan.commit()


def _found(
    source: Source, plan: sqlite3.Connection, shape: TreeShape, say: Callable[[str], None]
) -> Iterator[tuple[Any, ...]]:
    said = monotonic()
    for entry in source.entries():
        path = to_bytes(entry.path)
        if ".." in entry.path.split("/"):  # says nothing of classes, unlike the names of other faulty entries
            plan.execute("INSERT INTO damaged VALUES (?, 'unreadable', ?)", (path, entry.fault))
            continue
        shape.see(entry.path)
        yield path, *entry[1:]
        if monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = monotonic()
            say(f"prepare: {shape.images:,} images found so far")


def _keep_last(plan: sqlite3.Connection) -> None:
    """Of several members of one name, which an archive that was added to may have, the last, as unpacking would."""
    plan.execute("DELETE FROM found WHERE rowid NOT IN (SELECT max(rowid) FROM found GROUP BY path)")


def _entries(plan: sqlite3.Connection) -> Iterator[Entry]:
    """What tells files apart, of all that were found."""
    for path, size, modified_ns in plan.execute("SELECT path, size, modified_ns FROM found"):
        yield Entry(to_text(path), size, modified_ns)


def _place_tree(
    plan: sqlite3.Connection, shape: TreeShape, where: str, options: PrepareOptions
) -> tuple[ClassInfo, ...]:
    root = Path(where)
    layout = find_layout(shape, root if root.is_dir() else root.parent, options.ground_truth)
    _place(plan, lambda entry: (layout.place(entry.path), layout.meaning(entry.path)))
    rows = plan.execute("SELECT DISTINCT split, class FROM placed")
    places = [Place(split, to_text(name)) for split, name in rows]
    classes = find_classes(places, layout, root, options.class_order)
    if {place.split for place in places} == {"train"}:
        _hold_out(plan)
    return classes


def _place(plan: sqlite3.Connection, place: Callable[[Entry], tuple[Place | None, str]]) -> None:
    """Fill `placed`: `place` gives the place of an entry, and the part of its path that has a meaning."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for number, path, split, label in plan.execute("SELECT rowid, path, split, label FROM found"):
            found, meaning = place(Entry(to_text(path), split=split, label=label))
            if found:
                shuffle = hashlib.sha256(to_bytes(f"{_ORDER_SEED}/{meaning}")).digest()[:16]
                yield number, found.split, to_bytes(found.class_name), draw(meaning), shuffle

    plan.executemany("INSERT INTO placed VALUES (?,?,?,?,?)", rows())


def _hold_out(plan: sqlite3.Connection) -> None:
    """Move the same images to `val` that `open_folder` holds out."""
    # Beside max(), SQLite takes the other columns from the row that has it.
    plan.execute(
        "CREATE TABLE kept AS SELECT number FROM (SELECT rowid AS number, max(draw) FROM placed GROUP BY class)"
    )
    plan.execute("CREATE UNIQUE INDEX kept_number ON kept (number)")
    candidate = "rowid NOT IN (SELECT number FROM kept)"
    moved = plan.execute(f"UPDATE placed SET split = 'val' WHERE draw < ? AND {candidate}", (HELD_OUT_SHARE,))
    if moved.rowcount == 0:
        lowest = f"SELECT rowid FROM placed WHERE {candidate} ORDER BY draw LIMIT 1"
        plan.execute(f"UPDATE placed SET split = 'val' WHERE rowid = ({lowest})")


def _number(plan: sqlite3.Connection, shard_images: int) -> None:
    """Fill `image`, ids in the order of the shards, and `shard`. Images of no known class stay out."""
    plan.execute(
        "INSERT INTO image (split, label, entry) SELECT split, label, entry FROM placed JOIN class ON name = class "
        "ORDER BY split, shuffle, entry"
    )
    splits = plan.execute("SELECT split, min(id), max(id) FROM image GROUP BY split ORDER BY split").fetchall()
    for split, first, last in splits:
        starts = range(first, last + 1, shard_images)
        plan.executemany(
            "INSERT INTO shard (split, number, first, last) VALUES (?,?,?,?)",
            ((split, number, start, min(start + shard_images - 1, last)) for number, start in enumerate(starts)),
        )
    plan.executescript("DROP TABLE placed; DROP TABLE class;")
