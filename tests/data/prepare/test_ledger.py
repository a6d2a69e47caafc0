import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path
from time import perf_counter

from alexnet.data.prepare.ledger import Ledger, Shard

NUM_SHARDS = 20_000


def test_twenty_thousand_shards_are_listed_in_a_moment(tmp_path: Path) -> None:
    splits = [("train", number) for number in range(NUM_SHARDS - 9)] + [("val", number) for number in range(9)]
    expected = []
    for split, group in groupby(enumerate(splits), key=lambda row: row[1][0]):
        rows = list(group)
        first = rows[0][0] * 10 + 1
        expected += [
            Shard(at + 1, split, number, at * 10 + 1, at * 10 + 10, first, None, None) for at, (_, number) in rows
        ]
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as plan, plan:
        plan.execute(
            "CREATE TABLE shard (id INTEGER PRIMARY KEY, split TEXT, number INT, first INT, last INT, "
            "images INT, digest TEXT)"
        )
        plan.executemany(
            "INSERT INTO shard (split, number, first, last) VALUES (?, ?, ?, ?)", [shard[1:5] for shard in expected]
        )
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        start = perf_counter()
        assert ledger.shards() == expected
        assert perf_counter() - start < 5  # 0.1 s; one search for each would take half a minute
