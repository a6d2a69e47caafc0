"""What a run is asked for, and run.json, which keeps it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
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


def begin_folder(folder: Path, options: RunOptions, description: Mapping[str, Any]) -> None:
    """Make a run folder and its run.json: what was asked for, and what that came to (`description`).

    Raises:
        InputError: the folder already holds a run.
        OSError: the folder cannot be made or written.
    """
    if (folder / RUN_FILE).exists():
        raise InputError(f"{folder} already holds a run; continue it with --resume or choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / RUN_FILE) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, "options": asdict(options), **description}, indent=1))


def stored_options(folder: Path, asked: RunOptions) -> RunOptions:
    """The options of the run in `folder`. The data may have moved; whatever else is asked for again must be the same.

    Raises:
        InputError: no run there, a damaged run.json, or an option that the run was not begun with.
    """
    path = folder / RUN_FILE
    try:
        stored = RunOptions(**json.loads(path.read_text())["options"])
    except FileNotFoundError:
        raise InputError(f"{folder} holds no run to resume (no {RUN_FILE}); leave --resume out to begin one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); it cannot be resumed") from error
    for field in fields(RunOptions):
        was, now = getattr(stored, field.name), getattr(asked, field.name)
        if field.name != "data" and now is not None and now != was:
            raise InputError(f"{folder} was begun with {field.name} {was}, not {now}; a resumed run keeps its options")
    return replace(stored, data=asked.data)
