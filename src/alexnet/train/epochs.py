"""The epochs of a run: train, measure, save, until all are done or someone stops it."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import log
from pathlib import Path
from typing import Any

from alexnet.data.damaged import DamagedImages
from alexnet.errors import DataError, MissingExtraError
from alexnet.evaluate import Evaluation, evaluate
from alexnet.pictures import draw_curves
from alexnet.predict import Classifier
from alexnet.recipes import Plateau
from alexnet.train.checkpoint import Progress
from alexnet.train.events import EventLog
from alexnet.train.log import MetricsLog, read_metrics, training_errors
from alexnet.train.loop import train_epoch
from alexnet.train.observer import Advance, Observer
from alexnet.train.plan import FEW_IMAGES, Plan
from alexnet.train.ranks import DamagedAnywhere
from alexnet.train.saver import Saver
from alexnet.train.stop import Stopped, StopRequest

CURVES = "curves.png"
NUM_SHOWN = 3  # names of classes in a line

FEW_HELD_OUT = 100  # ours: of fewer images one is a point or more


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run came to. `evaluation`: of the last weights on `split`, centre view; None where nothing was held out.

    `best_error`: lowest top-1 error on a validation split, the error of best.safetensors. `damaged`: images that could
    not be read and were left out, since the run was last begun or resumed; the first process knows.
    """

    out: Path
    steps: int
    split: str | None
    evaluation: Evaluation | None
    best_error: float | None
    damaged: int


class Epochs:
    """A plan on its way: how far it is, and where it is kept."""

    def __init__(self, plan: Plan, folder: Path, progress: Progress, observer: Observer, stop: StopRequest) -> None:
        self.plan, self.folder, self.progress, self.observer, self.stop = plan, folder, progress, observer, stop
        self.ranks = plan.ranks
        self.ranks.first(self._open_logs)
        held_out = plan.dataset.splits.get(plan.measured_split or "", ())
        self.damaged_held_out = DamagedImages(len(held_out), observer.say)
        self.saver = Saver(plan, folder, progress)

    def _open_logs(self) -> None:
        self.log = MetricsLog(self.folder, step=self.progress.step, epochs=self.progress.epochs)
        self.events = EventLog(self.folder, self.observer, step=self.progress.step)

    def train(self) -> RunResult:
        """Every epoch that is left. Whatever can be resumed is saved, and it is said how."""
        try:
            return self._train()
        except (Stopped, DataError):  # both come between two steps
            try:
                self.saver.save_checkpoint()
            finally:
                self.observer.say(self.saver.how_to_resume())
            raise
        except (KeyboardInterrupt, OSError):  # a loss that is not a number would come again
            self.observer.say(self.saver.how_to_resume())
            raise

    def _train(self) -> RunResult:
        plan, evaluation = self.plan, None
        self._announce()
        while self.progress.epochs < plan.recipe.epochs and not self._ended():
            self._train_epoch()
            evaluation = self._finish_epoch()
        if self.progress.epochs < plan.recipe.epochs:
            self.observer.say(f"ended after {_count(self.progress.epochs, 'epoch')}, as recipe or options ask")
        if evaluation is None:  # the run was resumed after its end: say again what it came to
            evaluation = self._evaluate(self.saver.classifier())
        self.ranks.first(self._draw_curves)
        return RunResult(
            out=self.folder,
            steps=self.progress.step,
            split=plan.measured_split,
            evaluation=evaluation,
            best_error=self.progress.best_error,
            damaged=len(plan.damaged) + len(self.damaged_held_out),
        )

    def _draw_curves(self) -> None:
        with suppress(MissingExtraError):  # the numbers are in metrics.jsonl; only the picture needs matplotlib
            draw_curves(read_metrics(self.folder), log(self.plan.spec.num_classes), self.folder / CURVES)

    def _train_epoch(self) -> None:
        """The steps that are left of the epoch; none where it was stopped while its errors were measured."""
        plan, epoch = self.plan, self.progress.epochs
        last_step = (epoch + 1) * plan.steps_per_epoch
        first, left = self.progress.step - epoch * plan.steps_per_epoch, last_step - self.progress.step
        if not left:
            return
        batch_size = plan.recipe.batch_size
        images = min(plan.steps_per_epoch * batch_size, len(plan.loader.split)) - first * batch_size
        with self.observer.progress(f"epoch {epoch + 1}/{plan.recipe.epochs}", images, "images") as advance:
            batches = islice(plan.loader.epoch(epoch, first), left)
            train_epoch(
                plan.trainer,
                self.ranks.shares(
                    batches,
                    self.stop,
                    plan.damaged_anywhere,
                    divides_images=plan.trainer.layout.divides_images,
                ),
                self.progress,
                last_step=last_step,
                # Several processes end together, between two steps (`Ranks.shares`), and not here.
                advance=self._until_stopped(advance) if self.ranks.count == 1 else advance,
                record=self._record,
            )

    def _until_stopped(self, advance: Advance) -> Advance:
        """`advance`, and an end to the work once someone has asked for it."""

        def advance_or_stop(count: int = 1, note: str = "") -> None:
            advance(count, note)
            self.stop.check()

        return advance_or_stop

    def _record(self, means: dict[str, float]) -> None:
        progress = self.progress
        rates = self.plan.trainer.rates()
        self._log({"step": progress.step, "epoch": progress.epochs + 1, "split": "train", **means, **rates})
        ends_epoch = progress.step % self.plan.steps_per_epoch == 0  # then all is saved soon, with its errors
        if not ends_epoch:
            self.saver.save_checkpoint_if_due()

    def _finish_epoch(self) -> Evaluation | None:
        """Measure, save, and only then count the epoch as done."""
        classifier = self.saver.classifier()
        found = self._measure(classifier)
        self.progress.epochs += 1
        self.saver.save_epoch(classifier.weights, found)
        return found

    def _evaluate(self, classifier: Classifier) -> Evaluation | None:
        """Errors on the held-out split, centre view; None where nothing is held out."""
        plan, name = self.plan, self.plan.measured_split
        if name is None:
            return None
        split, damaged = plan.dataset.split(name), DamagedAnywhere(self.ranks, self.damaged_held_out)
        with self.observer.progress(f"errors on {name}", len(split), "images") as advance:
            advance_or_stop, left = self._until_stopped(advance), [len(split)]

            def advance_for_all(images: int) -> None:  # the others are about as far
                count = min(images * self.ranks.count, left[0])
                left[0] -= count
                advance_or_stop(count)

            return evaluate(
                [classifier],
                split,
                plan.dataset.classes,
                workers=plan.loader.options.workers,
                progress=advance_for_all,
                on_damaged=damaged,
                divide=partial(self.ranks.divide, stop=self.stop, damaged=damaged),
            )

    def _measure(self, classifier: Classifier) -> Evaluation | None:
        """`_evaluate` after an epoch, for the log and the observer."""
        found, name = self._evaluate(classifier), self.plan.measured_split
        if found is None:
            return None
        epoch = self.progress.epochs + 1
        errors = {"loss": found.loss, "top1_error": found.top1_error, "top5_error": found.top5_error}
        self._log({"step": self.progress.step, "epoch": epoch, "split": name, "views": found.views, **errors})
        top5 = "" if found.top5_error is None else f", top-5 {found.top5_error:.1%}"
        self.observer.say(f"epoch {epoch}: {name} error top-1 {found.top1_error:.1%}{top5} (center view)")
        return found

    def _ended(self) -> bool:
        """Whether the run is at the error that was asked for, or a recipe that waits for plateaus has seen its last."""
        if self._is_at_target():
            return True
        schedule = self.plan.recipe.rates.weights
        return isinstance(schedule, Plateau) and self.progress.plateaus > schedule.times

    def _is_at_target(self) -> bool:
        target = self.plan.options.until_error
        if target is None:
            return False
        errors = self.ranks.first(lambda: training_errors(read_metrics(self.folder)))
        # Of epochs that are done: one that was stopped has records too, of its first steps.
        return any(error <= target for epoch, error in errors.items() if epoch <= self.progress.epochs)

    def _log(self, record: dict[str, Any]) -> None:
        def write() -> None:
            self.log.add(record)
            self.events.add(record)

        self.ranks.first(write)

    def _announce(self) -> None:
        plan, machine = self.plan, self.plan.describe_machine()
        length = f"{_count(plan.recipe.epochs, 'epoch')} of {_count(plan.steps_per_epoch, 'step')}"
        where = f"{machine['device']} {machine['dtype']}{_shared(plan)}"
        self.observer.say(
            f"{plan.spec.name} by recipe {plan.recipe.name} on {len(plan.loader.split):,} images of "
            f"{plan.spec.num_classes} classes: {length}, {where}, into {self.folder}"
        )
        self._say_which_are_few()
        split = plan.measured_split
        if not split:
            self.observer.say("errors: nothing is held out, so no error will be measured")
            return
        count = len(plan.dataset.split(split))
        few = f", so few that one is {100 / count:.2g} points" if count < FEW_HELD_OUT else ""
        self.observer.say(f"errors: {_count(count, 'image')} of the {split} split{few}")

    def _say_which_are_few(self) -> None:
        few = [f"{name} ({count})" for name, count in self.plan.few_images.items()]
        if few:
            shown = ", ".join(few[:NUM_SHOWN]) + (", ..." if len(few) > NUM_SHOWN else "")
            self.observer.say(
                f"{_count(len(few), 'class')} with fewer than {FEW_IMAGES} images to train on: {shown}; "
                "they will hardly be learned, add images (20 each are a start)"
            )


def _shared(plan: Plan) -> str:
    """In what way the work is shared, where it is."""
    way = plan.trainer.layout.way
    return f", {way} in {_count(plan.ranks.count, 'process')}" if way else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "es" if what.endswith("s") else "s")
