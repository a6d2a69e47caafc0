"""What a run puts into its folder as it goes: checkpoints to go on from, and weights to use."""

import shlex
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np

from alexnet.engines import open_engine
from alexnet.errors import DivergedError
from alexnet.evaluate import Evaluation
from alexnet.predict import Classifier
from alexnet.recipes import Plateau
from alexnet.train.checkpoint import CHECKPOINT, Progress, save_checkpoint
from alexnet.train.loop import WHAT_HELPS
from alexnet.train.plan import Plan
from alexnet.verify import probe_logits
from alexnet.weights import Weights, save_weights
from alexnet.weights.probe import make_probe, with_errors

LAST, BEST = "last.safetensors", "best.safetensors"
SECONDS_PER_CHECKPOINT = 600.0


class Saver:
    """Saves the state of `plan` at `progress`; nothing is saved that is not a number any more.

    Of the processes of a run all must call its methods; the first writes.
    """

    def __init__(self, plan: Plan, folder: Path, progress: Progress) -> None:
        self.plan, self.folder, self.progress = plan, folder, progress
        self._saved_at, self._saved_step = monotonic(), progress.step

    def save_checkpoint(self) -> None:
        """All that the run needs to go on from here, bit for bit.

        Raises:
            DivergedError: the weights are no numbers any more; the checkpoint before stays.
            OSError: the disk is full or the folder is read-only; the checkpoint before stays.
        """
        trainer, ranks = self.plan.trainer, self.plan.ranks
        ranks.together(lambda: trainer.check_finite(self.progress.step))
        weights, velocities = trainer.weights(), trainer.velocities()
        ranks.first(lambda: save_checkpoint(self.folder, self.progress, weights, velocities))
        self._saved_at, self._saved_step = monotonic(), self.progress.step

    def save_checkpoint_if_due(self) -> None:
        """`save_checkpoint`, every ten minutes."""
        if self.plan.ranks.first(lambda: monotonic() - self._saved_at > SECONDS_PER_CHECKPOINT):
            self.save_checkpoint()

    def save_epoch(self, weights: Weights, found: Evaluation | None) -> None:
        """Weights and checkpoint. Only a validation split chooses the best weights: nothing selects on test."""
        is_best = found is not None and self.plan.measured_split == "val" and self._is_best(found)
        errors = [found.record(self.plan.dataset.name, self.plan.measured_split)] if found else []
        weights = with_errors(weights, errors)
        names = (BEST, LAST) if is_best else (LAST,)

        def save() -> None:
            for name in names:
                save_weights(self.folder / name, weights)

        self.plan.ranks.first(save)
        self.save_checkpoint()

    def how_to_resume(self) -> str:
        """A line that says from which step on, and how."""
        if not (self.folder / CHECKPOINT).exists():
            return f"stopped; {self.folder} is gone, and with it the run"
        if self.plan.has_data_of_its_own:
            return f"stopped; saved at step {self._saved_step:,}, to go on repeat what began the run, with --resume"
        command = shlex.join(["alexnet", "train", self.plan.options.data, "--out", str(self.folder), "--resume"])
        by = ", or under torchrun as before" if self.plan.ranks.count > 1 else ""
        return f"stopped; saved at step {self._saved_step:,}, the run goes on with: {command}{by}"

    def classifier(self) -> Classifier:
        """The present weights as users will get them, with the probe's logits.

        Raises:
            DivergedError: weights or logits that are not finite numbers.
        """
        plan, preprocessing = self.plan, self.plan.beginning.preprocessing
        plan.ranks.together(lambda: plan.trainer.check_finite(self.progress.step))
        weights = Weights(
            spec=plan.spec,
            classes=plan.dataset.classes,
            preprocessing=preprocessing,
            tensors=plan.trainer.tensors(),
            recipe=plan.recipe.to_json(),
        )
        engine = open_engine("torch", weights, str(plan.trainer.device))
        logits = probe_logits(weights)
        if not np.isfinite(logits).all():
            raise DivergedError(f"the net's answers are no numbers after step {self.progress.step}; {WHAT_HELPS}")
        return Classifier(weights=replace(weights, probe=make_probe(weights, logits)), engine=engine)

    def _is_best(self, found: Evaluation) -> bool:
        schedule = self.plan.recipe.rates.weights
        patience = schedule.patience_epochs if isinstance(schedule, Plateau) else None
        return self.progress.count_error(found.top1_error, found.loss, patience)
