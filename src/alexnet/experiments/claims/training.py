"""Runs that claims are made of: each is trained once, kept, and shared by all claims that need it.

A run folder is called after everything that decides what comes out, so that the net as published, say, is trained once
for all ablations. Of a finished run the last weights and the log are kept, not the checkpoint nor the best weights: to
compare runs by weights chosen on the images that they are then measured on would flatter them. How a run ended is kept
with the machine that it ended on, which need not be the one that asks.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexnet.atomic import write_whole
from alexnet.data.splits import DataSet
from alexnet.errors import DivergedError, InputError
from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.machine import describe_machine, precision_of
from alexnet.weights.catalog import RUN_FILE

FINISHED, DIVERGED, LAST = "finished", "diverged", "last.safetensors"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: net and recipe by name; `weights` are a path to start from. None leaves the choice to net or recipe.

    until_error: it ends there, if it comes so far, see `RunOptions`.
    """

    net: str
    epochs: int
    seed: int
    recipe: str | None = None
    batch_size: int | None = None
    lr: float | None = None
    weights: str | None = None
    until_error: float | None = None


def folder_of(run: Run, study: Study, dataset: DataSet) -> Path:
    """Where the run is kept."""
    limit = study.asked.limit_train_batches
    words = [run.net, *([f"by-{run.recipe}"] if run.recipe else []), f"{run.epochs}-epochs"]
    words += [f"{limit}-steps"] if limit else []
    words += [f"batch-{run.batch_size}"] if run.batch_size else []
    words += [f"lr-{run.lr:g}"] if run.lr is not None else []
    words += [f"from-{Path(run.weights).parent.name}"] if run.weights else []
    words += [f"until-{run.until_error:g}"] if run.until_error is not None else []
    words += [precision_of(study.asked.device), f"seed-{run.seed}"]
    return study.asked.runs / dataset.name / "_".join(words)


def trained(run: Run, study: Study, dataset: DataSet | None = None) -> Path:
    """The folder of the finished run, trained now if it was not before; `dataset`, where it is not all of the study's.

    Raises:
        InputError: a run that was stopped, and the study does not resume; a run on other data of the same name.
        DivergedError: the loss is no number any more, now or when it was tried before.
        RunError: it failed otherwise, and may not the next time.
        KeyboardInterrupt: Ctrl-C; finished runs are kept, and the one in hand can be resumed.
    """
    data = dataset or study.dataset
    folder = folder_of(run, study, data)
    if _end_of(folder):
        _check_same_data(folder, data)
        if (folder / DIVERGED).is_file():
            raise DivergedError(f"{folder} diverged when it was tried; delete it to try again")
        return folder
    begun = (folder / RUN_FILE).is_file()
    if begun and not study.asked.resume:
        raise InputError(f"{folder} holds a run that was stopped; go on with --resume, or delete it to begin anew")
    try:
        _train(run, study, data, folder, resume=begun)
    except DivergedError:
        _end(folder, DIVERGED, study)
        raise
    _end(folder, FINISHED, study)
    for name in ("checkpoint.pt", "best.safetensors"):
        (folder / name).unlink(missing_ok=True)
    return folder


def facts_of(folder: Path) -> dict[str, Any]:
    """What there is to say of a run that has ended: recipe, batch_size, precision, machine, and the digest of the data;
    plain JSON.

    Raises:
        InputError: a file of the folder is damaged.
    """
    end = _end_of(folder)
    assert end is not None
    kept, at_end = (_read(path) for path in (folder / RUN_FILE, end))
    return {
        **{name: kept["options"][name] for name in ("recipe", "batch_size", "precision")},
        "machine": kept["machine"] | at_end,
        "data": kept["data"]["digest"],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete {path.parent}, and it is trained again") from None
    return found


def _end_of(folder: Path) -> Path | None:
    """The file that says how the run ended."""
    return next((folder / name for name in (FINISHED, DIVERGED) if (folder / name).is_file()), None)


def _end(folder: Path, name: str, study: Study) -> None:
    with write_whole(folder / name) as temporary:
        temporary.write_text(json.dumps(describe_machine(study.asked.device)), encoding="utf-8")


def _check_same_data(folder: Path, dataset: DataSet) -> None:
    from alexnet.train.folder import check_data, read_run
    from alexnet.train.options import RunOptions

    check_data(folder, read_run(folder, RunOptions(data=dataset.name)), dataset)


def _train(run: Run, study: Study, dataset: DataSet, folder: Path, *, resume: bool) -> None:
    from alexnet.train.options import RunOptions
    from alexnet.train.run import train

    asked = study.asked
    options = RunOptions(
        data=asked.data if dataset is study.dataset else dataset.name,
        limit_train_batches=asked.limit_train_batches,
        precision=precision_of(asked.device),
        **asdict(run),
    )
    train(
        options,
        study.observer,
        dataset=dataset,
        out=folder,
        resume=resume,
        device=asked.device,
        workers=asked.workers,
    )
