"""What lies beside the shards of a prepared folder, for those who open it."""

import json
from collections.abc import Mapping
from pathlib import Path

from alexnet.errors import DataError

PREPARED, STATISTICS, CLASSES, DAMAGED = "prepared.json", "statistics.npz", "classes.json", "damaged.jsonl"
SCRATCH = ".prepare"  # there as long as the preparation is not finished


def check_finished(folder: Path) -> None:
    """Refuse a folder that holds a part of its shards only.

    Raises:
        DataError: its preparation was stopped, or goes on now.
    """
    if (folder / SCRATCH).is_dir() and not (folder / PREPARED).exists():
        raise DataError(f"{folder} is not finished; give its alexnet prepare command again, which goes on")


def find_statistics(folder: Path, train_shards: Mapping[str, str]) -> Path | None:
    """The statistics of a prepared folder, if they are of just these training shards: digests by file name.

    None where a shard was added or taken away, where nothing was prepared, and where a shard was changed since: its
    sampled digest is another, or its time of change is after that of `prepared.json`, which was written last. A copy
    of the folder that does not keep times may look changed too; its statistics are then computed again.
    """
    try:
        shards = json.loads((folder / PREPARED).read_text(encoding="utf-8"))["shards"]
        prepared = {name: digest for name, digest in shards.items() if name.startswith("train-")}
        finished = (folder / PREPARED).stat().st_mtime_ns
        changed = any((folder / name).stat().st_mtime_ns > finished for name in train_shards)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    path = folder / STATISTICS
    return path if prepared == dict(train_shards) and not changed and path.is_file() else None
