"""What a run is asked for."""

from dataclasses import dataclass

from alexnet.data.ilsvrc import ClassOrder


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked for; None leaves the choice to the net, the recipe or the machine.

    data, net, recipe: rows of the three tables; weights: to start from. input_size: side of a new net's images.
    ground_truth, class_order: of ILSVRC's folders, see `open_data`. limit_train_batches: steps of an epoch at most.
    until_error: the run ends with the first epoch whose running training error (see `training_errors`) is at most this,
    from 0 to 1. prune_to: pruned to so many bytes; share_values: weights are made to share values.
    """

    data: str
    ground_truth: str | None = None
    class_order: ClassOrder | None = None
    net: str | None = None
    input_size: int | None = None
    recipe: str | None = None
    weights: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    precision: str | None = None
    limit_train_batches: int | None = None
    until_error: float | None = None
    prune_to: int | None = None
    share_values: bool | None = None
