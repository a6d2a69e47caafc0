"""Where a run stands, on disk whole or not at all, and enough to go on exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexnet.atomic import write_whole
from alexnet.errors import WeightsError

CHECKPOINT = "checkpoint.pt"


@dataclass(kw_only=True)
class Progress:
    """What a run knows about itself besides its tensors.

    step: updates made, over all epochs. best_error: lowest validation top-1 error so far; best_loss: lowest loss at
    that error. epochs_since_best and plateaus: for recipes that wait for validation error to stop improving.
    """

    step: int = 0
    best_error: float | None = None
    best_loss: float | None = None
    epochs_since_best: int = 0
    plateaus: int = 0


def save_checkpoint(
    folder: Path, progress: Progress, weights: Mapping[str, Tensor], velocities: Mapping[str, Tensor]
) -> None:
    """Write the run folder's checkpoint. Random numbers need no saving: they follow from seed and step.

    Raises:
        OSError: the disk is full or the folder is read-only; the previous checkpoint is then still there.
    """
    with write_whole(folder / CHECKPOINT) as temporary:
        try:
            torch.save(
                {"progress": asdict(progress), "weights": dict(weights), "velocities": dict(velocities)}, temporary
            )
        except RuntimeError as error:  # torch wraps a failed write, such as a full disk, in its own class
            raise OSError(f"{folder / CHECKPOINT} cannot be written: {str(error).splitlines()[0]}") from error


def load_checkpoint(folder: Path) -> tuple[Progress, dict[str, Tensor], dict[str, Tensor]] | None:
    """(progress, weights, velocities) of the run folder's checkpoint, on the CPU; None before the first one.

    Raises:
        WeightsError: it is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return Progress(**saved["progress"]), saved["weights"], saved["velocities"]
    except Exception as error:
        raise WeightsError(f"{path}: damaged; delete it, and --resume begins the run anew") from error
