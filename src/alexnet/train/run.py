"""A run: epochs of training, measuring and saving, in a folder that can repeat or resume it.

The folder holds run.json (what was asked for), statistics.npz, metrics.jsonl, curves.png, checkpoint.pt,
last.safetensors and, where there is a validation split, best.safetensors.
"""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from math import log
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from alexnet.data.datasets import open_data
from alexnet.data.statistics import Statistics
from alexnet.engines import open_engine
from alexnet.errors import InputError, MissingExtraError, RunError, WeightsError
from alexnet.evaluate import Evaluation, evaluate
from alexnet.memory import keep_memory
from alexnet.pictures import draw_curves
from alexnet.predict import Classifier
from alexnet.recipes import Plateau
from alexnet.train.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint
from alexnet.train.log import MetricsLog, read_metrics
from alexnet.train.loop import WHAT_HELPS, Observer, train_epoch
from alexnet.train.options import RunOptions, begin_folder, check_unused, stored_options
from alexnet.train.plan import Plan, make_plan
from alexnet.weights import Weights, save_weights
from alexnet.weights.probe import probe_view

STATISTICS, CURVES = "statistics.npz", "curves.png"
LAST, BEST = "last.safetensors", "best.safetensors"
SECONDS_PER_CHECKPOINT = 600.0


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run came to. `evaluation`: of the last weights on `split`, centre view; None where nothing was held out.

    `best_error`: lowest top-1 error on a validation split, the error of best.safetensors.
    """

    out: Path
    steps: int
    split: str | None
    evaluation: Evaluation | None
    best_error: float | None


def train(
    options: RunOptions,
    observer: Observer,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    workers: int = 2,
) -> RunResult:
    """Train as `options` say and keep everything in `out` (default runs/<data>-<time>).

    `device` and `workers` belong to the machine, not to the run: they may differ when it is resumed.

    Raises:
        InputError: options, data or weights that cannot be used, a folder that already holds a run.
        RunError: the loss is not a finite number.
        OSError: the disk is full or the folder is read-only.
    """
    keeps_memory = keep_memory()
    if resume and not out:
        raise InputError("--resume continues the run in --out; say which folder that is")
    dataset = open_data(options.data)
    folder = Path(out) if out else Path("runs") / f"{Path(dataset.name).name}-{datetime.now():%Y%m%d-%H%M%S}"
    if resume:
        options = stored_options(folder, options, dataset)
    else:
        check_unused(folder)
    begun_with = _kept_statistics(folder) if resume else None
    plan = make_plan(options, dataset, observer, device=device, workers=workers, statistics=begun_with)
    run = (_resumed if resume else _begun)(plan, folder, observer)
    if keeps_memory and plan.trainer.device.type == "cpu":
        observer.say("memory is kept for reuse, which speeds up training on CPUs; ALEXNET_KEEP_MEMORY=0 turns it off")
    try:
        return run.train()
    except (KeyboardInterrupt, OSError):  # a loss that is not a number would come again
        command = shlex.join(["alexnet", "train", options.data, "--out", str(folder), "--resume"])
        observer.say(f"stopped; the run goes on with: {command}")
        raise


def _kept_statistics(folder: Path) -> Statistics | None:
    path = folder / STATISTICS
    return Statistics.load(path) if path.is_file() else None


def _begun(plan: Plan, folder: Path, observer: Observer) -> "_Run":
    begin_folder(folder, plan.options, plan.describe())
    if plan.statistics:
        plan.statistics.save(folder / STATISTICS)
    return _Run(plan, folder, Progress(), observer)


def _resumed(plan: Plan, folder: Path, observer: Observer) -> "_Run":
    progress = Progress()
    if found := load_checkpoint(folder):  # else it was stopped before its first
        progress, weights, velocities = found
        try:
            plan.trainer.net.load_state_dict(weights)
            plan.trainer.optimizer.load_velocities(velocities)
        except (RuntimeError, KeyError) as error:
            raise WeightsError(f"{folder / CHECKPOINT} is of another net than {plan.spec.name}") from error
    observer.say(f"resumed {folder} at step {progress.step:,} of {plan.total_steps:,}")
    return _Run(plan, folder, progress, observer)


class _Run:
    """A plan on its way: how far it is, and where it is kept."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress, observer: Observer) -> None:
        self.plan, self.folder, self.progress, self.observer = plan, folder, progress, observer
        self.log = MetricsLog(folder, keep_until_step=progress.step)
        self.saved_at = monotonic()

    def train(self) -> RunResult:
        """Every epoch that is left: train, measure, save."""
        plan, evaluation = self.plan, None
        self._announce()
        while self.progress.step < plan.total_steps and not self._ended():
            self._train_epoch()
            classifier = self._classifier()
            evaluation = self._measure(classifier)
            self._save(classifier.weights, evaluation)
        if evaluation is None:  # the run was resumed after its end: say again what it came to
            evaluation = self._evaluate(self._classifier())
        with suppress(MissingExtraError):  # the numbers are in metrics.jsonl; only the picture needs matplotlib
            draw_curves(read_metrics(self.folder), log(plan.spec.num_classes), self.folder / CURVES)
        return RunResult(
            out=self.folder,
            steps=self.progress.step,
            split=plan.measured_split,
            evaluation=evaluation,
            best_error=self.progress.best_error,
        )

    def _train_epoch(self) -> None:
        plan = self.plan
        epoch, first = divmod(self.progress.step, plan.steps_per_epoch)
        batch_size = plan.recipe.batch_size
        images = min(plan.steps_per_epoch * batch_size, len(plan.loader.split)) - first * batch_size
        with self.observer.progress(f"epoch {epoch + 1}/{plan.recipe.epochs}", images, "images") as advance:
            self.progress.step = train_epoch(
                plan.trainer,
                islice(plan.loader.epoch(epoch, first), plan.steps_per_epoch - first),
                step=self.progress.step,
                plateaus=self.progress.plateaus,
                advance=advance,
                record=lambda step, means: self._record(step, epoch, means),
            )

    def _record(self, step: int, epoch: int, means: dict[str, float]) -> None:
        self.log.add({"step": step, "epoch": epoch + 1, "split": "train", **means, **self.plan.trainer.rates()})
        ends_epoch = step % self.plan.steps_per_epoch == 0  # then all is saved anyway, after the errors are measured
        if not ends_epoch and monotonic() - self.saved_at > SECONDS_PER_CHECKPOINT:
            self.progress.step = step
            self._save_checkpoint()

    def _evaluate(self, classifier: Classifier) -> Evaluation | None:
        """Errors on the held-out split, centre view; None where nothing is held out."""
        plan, name = self.plan, self.plan.measured_split
        if name is None:
            return None
        split = plan.dataset.split(name)
        with self.observer.progress(f"errors on {name}", len(split), "images") as advance:
            workers = plan.loader.options.workers
            return evaluate([classifier], split, plan.dataset.classes, workers=workers, progress=advance)

    def _measure(self, classifier: Classifier) -> Evaluation | None:
        """`_evaluate` after an epoch, for the log and the observer."""
        found, name = self._evaluate(classifier), self.plan.measured_split
        if found is None:
            return None
        epoch = self.progress.step // self.plan.steps_per_epoch
        errors = {"loss": found.loss, "top1_error": found.top1_error, "top5_error": found.top5_error}
        self.log.add({"step": self.progress.step, "epoch": epoch, "split": name, "views": found.views, **errors})
        top5 = "" if found.top5_error is None else f", top-5 {found.top5_error:.1%}"
        self.observer.say(f"epoch {epoch}: {name} error top-1 {found.top1_error:.1%}{top5} (centre view)")
        return found

    def _save(self, weights: Weights, found: Evaluation | None) -> None:
        """Checkpoint and weights after an epoch. Only a validation split chooses the best: nothing selects on test."""
        weights = replace(weights, errors=(self._errors(found),) if found else ())
        if found is not None and self.plan.measured_split == "val" and self._is_best(found):
            save_weights(self.folder / BEST, weights)
        save_weights(self.folder / LAST, weights)
        self._save_checkpoint()

    def _is_best(self, found: Evaluation) -> bool:
        """Note a validation error; whether it is the lowest so far, the loss deciding between equal ones.

        Recipes that wait for plateaus count them here; a lower loss alone does not end a plateau.
        """
        progress, schedule = self.progress, self.plan.recipe.rates.weights
        if progress.best_error is None or found.top1_error < progress.best_error:
            progress.best_error, progress.best_loss, progress.epochs_since_best = found.top1_error, found.loss, 0
            return True
        progress.epochs_since_best += 1
        if isinstance(schedule, Plateau) and progress.epochs_since_best >= schedule.patience_epochs:
            progress.plateaus, progress.epochs_since_best = progress.plateaus + 1, 0
        if found.top1_error == progress.best_error and (progress.best_loss is None or found.loss < progress.best_loss):
            progress.best_loss = found.loss
            return True
        return False

    def _ended(self) -> bool:
        """Whether a recipe that waits for plateaus has seen its last."""
        schedule = self.plan.recipe.rates.weights
        return isinstance(schedule, Plateau) and self.progress.plateaus > schedule.times

    def _save_checkpoint(self) -> None:
        trainer = self.plan.trainer
        trainer.check_finite(self.progress.step)
        save_checkpoint(self.folder, self.progress, trainer.net.state_dict(), trainer.optimizer.velocities())
        self.saved_at = monotonic()

    def _classifier(self) -> Classifier:
        """The present weights as users will get them, with the probe's logits.

        Raises:
            RunError: weights or logits that are not finite numbers.
        """
        plan = self.plan
        plan.trainer.check_finite(self.progress.step)
        weights = Weights(
            spec=plan.spec,
            classes=plan.dataset.classes,
            preprocessing=plan.preprocessing,
            tensors=plan.trainer.tensors(),
            recipe=plan.recipe.to_json(),
        )
        engine = open_engine("torch", weights, str(plan.trainer.device))
        logits = engine.logits(probe_view(plan.preprocessing))[0]
        if not np.isfinite(logits).all():
            raise RunError(f"the net's answers are no numbers after step {self.progress.step}; {WHAT_HELPS}")
        return Classifier(weights=replace(weights, probe={"logits": logits.tolist()}), engine=engine)

    def _errors(self, found: Evaluation) -> Mapping[str, Any]:
        return {
            "data": self.plan.dataset.name,
            "split": self.plan.measured_split,
            "views": found.views,
            "top1_error": found.top1_error,
            "top5_error": found.top5_error,
        }

    def _announce(self) -> None:
        plan, machine = self.plan, self.plan.describe_machine()
        self.observer.say(
            f"{plan.spec.name} by recipe {plan.recipe.name} on {len(plan.loader.split):,} images of "
            f"{plan.spec.num_classes} classes: {plan.recipe.epochs} epochs of {plan.steps_per_epoch:,} steps, "
            f"{machine['device']} {machine['dtype']}, into {self.folder}"
        )
        split = plan.measured_split
        held_out = f"{len(plan.dataset.split(split)):,} images of the {split} split" if split else "nothing is held out"
        self.observer.say(f"errors: {held_out}" + ("" if split else ", so no error will be measured"))
