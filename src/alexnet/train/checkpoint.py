"""Where a run stands, on disk whole or not at all, and enough to go on exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from alexnet.atomic import write_whole
from alexnet.errors import WeightsError

CHECKPOINT = "checkpoint.pt"

Measured = tuple[int, int, float, int]  # a step: its number, images, their mean loss, how many of them are wrong


@dataclass(kw_only=True)
class Progress:
    """What a run knows about itself besides its tensors.

    step: updates made, over all epochs. unrecorded: those that no record of the log covers yet. epochs: those whose
    errors are measured and whose weights are saved too.
    best_error: lowest validation top-1 error so far; best_loss: lowest loss at that error. epochs_since_best and
    plateaus: for recipes that wait for validation error to stop improving.
    """

    step: int = 0
    unrecorded: list[Measured] = field(default_factory=list)
    epochs: int = 0
    best_error: float | None = None
    best_loss: float | None = None
    epochs_since_best: int = 0
    plateaus: int = 0

    def count_error(self, error: float, loss: float, patience_epochs: int | None) -> bool:
        """Note a validation error; whether it is the lowest so far, the loss deciding between equal ones.

        `patience_epochs` without a lower error are a plateau; a lower loss alone does not end one. None counts none.
        """
        if self.best_error is None or error < self.best_error:
            self.best_error, self.best_loss, self.epochs_since_best = error, loss, 0
            return True
        self.epochs_since_best += 1
        if patience_epochs is not None and self.epochs_since_best >= patience_epochs:
            self.plateaus, self.epochs_since_best = self.plateaus + 1, 0
        if error == self.best_error and (self.best_loss is None or loss < self.best_loss):
            self.best_loss = loss
            return True
        return False


def save_checkpoint(
    folder: Path, progress: Progress, weights: Mapping[str, Tensor], velocities: Mapping[str, Tensor]
) -> None:
    """Write the run folder's checkpoint. Random numbers need no saving: they follow from seed and step.

    Raises:
        OSError: the disk is full or the folder is read-only; the previous checkpoint is then still there.
    """
    saved = {"progress": asdict(progress), "weights": dict(weights), "velocities": dict(velocities)}
    with write_whole(folder / CHECKPOINT) as temporary, temporary.open("wb") as file:
        try:
            torch.save(saved, file)
        except RuntimeError as error:  # torch's archive writer covers up a failed write, such as one to a full disk
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(folder: Path) -> tuple[Progress, dict[str, Tensor], dict[str, Tensor]]:
    """(progress, weights, velocities) of the run folder's checkpoint, on the CPU.

    Raises:
        WeightsError: it is missing or damaged.
    """
    path = folder / CHECKPOINT
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return Progress(**saved["progress"]), saved["weights"], saved["velocities"]
    except Exception as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise WeightsError(
            f"{path}: {what}, so the run cannot go on; --weights {folder} begins another from the weights it saved"
        ) from error
