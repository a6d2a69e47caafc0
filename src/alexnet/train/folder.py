"""The folder of a run: begun whole or not at all, and enough to go on when parent weights and cache are gone."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.arch.serial import spec_from_json, spec_to_json
from alexnet.atomic import write_whole
from alexnet.data.splits import DataSet
from alexnet.data.statistics import Statistics
from alexnet.errors import InputError
from alexnet.preprocess import Preprocessing
from alexnet.recipes import recipe_from_json
from alexnet.train.beginning import Beginning
from alexnet.train.options import RunOptions
from alexnet.weights.catalog import RUN_FILE

FORMAT = 2
STATISTICS, MEAN_IMAGE = "statistics.npz", "mean_image.npy"


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


def begin_run(folder: Path, options: RunOptions, beginning: Beginning, description: Mapping[str, Any]) -> None:
    """Write what the run began with, and last of all run.json, which makes the folder that of a run.

    Raises:
        OSError: the folder cannot be written.
    """
    statistics, mean_image = beginning.statistics, beginning.preprocessing.mean_image
    if statistics:
        statistics.save(folder / STATISTICS)
    if mean_image is not None:
        with write_whole(folder / MEAN_IMAGE) as temporary, temporary.open("wb") as file:
            np.save(file, mean_image)
    content = {
        "format": FORMAT,
        "options": asdict(options),
        "net": spec_to_json(beginning.spec),
        "preprocessing": beginning.preprocessing.to_json(),
        "mean_image": None if mean_image is None else MEAN_IMAGE,
        "statistics": STATISTICS if statistics else None,
        "recipe": beginning.recipe.to_json(),
        **description,
    }
    with write_whole(folder / RUN_FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class KeptRun:
    """What a run folder says of its run. `data`: see `describe_data`."""

    options: RunOptions
    beginning: Beginning
    data: Mapping[str, Any]


def read_run(folder: Path, asked: RunOptions) -> KeptRun:
    """The run in `folder`. Its data may have moved; whatever else is asked for again must be the same.

    Raises:
        InputError: no run there, a damaged one, or an option that the run was not begun with.
    """
    path = folder / RUN_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        _check_format(kept["format"], folder)
        options, data = RunOptions(**kept["options"]), dict(kept["data"])
        beginning = _read_beginning(folder, kept)
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.exists():
            raise InputError(f"{folder} cannot be resumed: {error.filename} is missing") from None
        raise InputError(f"{folder} holds no run to resume (no {RUN_FILE}); leave --resume out to begin one") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); it cannot be resumed") from error
    for field in fields(RunOptions):
        was, now = getattr(options, field.name), getattr(asked, field.name)
        if field.name != "data" and now not in (None, "auto", was):
            raise InputError(f"{folder} was begun with {field.name} {was}, not {now}; a resumed run keeps its options")
    return KeptRun(options=replace(options, data=asked.data), beginning=beginning, data=data)


def check_data(folder: Path, kept: KeptRun, dataset: DataSet) -> None:
    """Refuse other data than those that the run was begun on, wherever they are now.

    Raises:
        InputError: other images, labels or classes.
    """
    if {**kept.data, "name": dataset.name} != describe_data(dataset):
        where, was = kept.options.data, kept.data.get("name")
        raise InputError(f"{folder} was begun on other data ({was}); {where} has not the same images")


def _check_format(found: object, folder: Path) -> None:
    if found != FORMAT:
        raise InputError(
            f"{folder} was begun by another version of this package (format {found}, not {FORMAT}); "
            "its weights can be used, but only that version can resume it"
        )


def _read_beginning(folder: Path, kept: Mapping[str, Any]) -> Beginning:
    mean_image, statistics = kept["mean_image"], kept["statistics"]
    return Beginning(
        spec=spec_from_json(kept["net"]),
        recipe=recipe_from_json(kept["recipe"]),
        preprocessing=Preprocessing.from_json(
            kept["preprocessing"], np.load(folder / mean_image, allow_pickle=False) if mean_image else None
        ),
        statistics=Statistics.load(folder / statistics) if statistics else None,
    )
