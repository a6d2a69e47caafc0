"""What a run is asked for, and run.json, which keeps it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
from alexnet.data.splits import DataSet
from alexnet.errors import InputError
from alexnet.weights.catalog import RUN_FILE

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked for; None leaves the choice to the net, the recipe or the machine.

    data, net, recipe: rows of the three tables; weights: to start from. limit_train_batches: steps of an epoch at most.
    """

    data: str
    net: str | None = None
    recipe: str | None = None
    weights: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    precision: str | None = None
    limit_train_batches: int | None = None


def describe_data(dataset: DataSet) -> dict[str, Any]:
    """What run.json keeps of the data: enough to know it again in another place, by its names and labels."""
    images = {name: len(split) for name, split in dataset.splits.items()}
    digest = hashlib.sha256("\n".join(info.name for info in dataset.classes).encode("utf-8", "surrogateescape"))
    for split in dataset.splits.values():
        digest.update("\n".join(split.paths).encode("utf-8", "surrogateescape"))
        digest.update(split.labels.tobytes())
    return {
        "name": dataset.name,
        "classes": len(dataset.classes),
        "images": images,
        "digest": digest.hexdigest()[:32],
    }


def check_unused(folder: Path) -> None:
    """Refuse a folder that no run can begin in.

    Raises:
        InputError: it already holds a run, or is no folder.
    """
    if (folder / RUN_FILE).exists():
        raise InputError(f"{folder} already holds a run; continue it with --resume or choose another --out")
    if blocking := [path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()]:
        raise InputError(f"{blocking[0]} is a file, not a folder for runs; choose another --out")


def begin_folder(folder: Path, options: RunOptions, description: Mapping[str, Any]) -> None:
    """Make a run folder and its run.json: what was asked for, and what that came to (`description`).

    Raises:
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / RUN_FILE) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, "options": asdict(options), **description}, indent=1))


def stored_options(folder: Path, asked: RunOptions, dataset: DataSet) -> RunOptions:
    """The options of the run in `folder`. The data may have moved; whatever else is asked for again must be the same.

    Raises:
        InputError: no run there, a damaged run.json, or data or an option that the run was not begun with.
    """
    path = folder / RUN_FILE
    try:
        kept = json.loads(path.read_text())
        stored, data = RunOptions(**kept["options"]), dict(kept["data"])
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder} holds no run to resume (no {RUN_FILE}); leave --resume out to begin one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); it cannot be resumed") from error
    for field in fields(RunOptions):
        was, now = getattr(stored, field.name), getattr(asked, field.name)
        if field.name != "data" and now is not None and now != was:
            raise InputError(f"{folder} was begun with {field.name} {was}, not {now}; a resumed run keeps its options")
    if data | {"name": dataset.name} != describe_data(dataset):
        raise InputError(f"{folder} was begun on other data ({data.get('name')}); {asked.data} has not the same images")
    return replace(stored, data=asked.data)
