"""The training loop: one step, one epoch, then many. What surrounds it (folders, options) is in `alexnet.train.run`."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.arch.smaller import smaller
from alexnet.data.loader import Batch
from alexnet.errors import DivergedError, RunError
from alexnet.nn import InputLayer, Net
from alexnet.nn.build import assemble
from alexnet.nn.layers import TestScaledDropout, use_channels_last
from alexnet.recipes import Recipe
from alexnet.train.checkpoint import Measured, Progress
from alexnet.train.compiled import Gradients
from alexnet.train.constraint import constraint_of
from alexnet.train.losses import LOSSES
from alexnet.train.observer import Advance
from alexnet.train.on_device import DeviceBatch
from alexnet.train.schedule import crops_by_epoch, rate_at, recipe_progress
from alexnet.train.sgd import Sgd2012

STEPS_PER_RECORD = 20

WHAT_HELPS = "what was saved before is kept, begin another run with a lower --lr"


class Trainer:
    """A net, its update and its recipe on one device.

    `dtype`: of convolutions and products (bf16 under autocast, or float32); weights and updates stay float32.
    `say` is told where the device's fast way cannot be taken.
    """

    def __init__(
        self,
        net: Net,
        recipe: Recipe,
        inputs: InputLayer,
        *,
        device: torch.device,
        dtype: torch.dtype,
        seed: int,
        total_steps: int,
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.net = net.to(device)
        use_channels_last(self.net)
        self._nets = _at_every_size(self.net, recipe)
        self.inputs = inputs.to(device)
        self.optimizer = Sgd2012(self.net, recipe)
        self.recipe, self.device, self.dtype = recipe, device, dtype
        self.seed, self.total_steps = seed, total_steps
        self._constraint = constraint_of(self.net, self.optimizer, recipe, total_steps)
        self._gradients = Gradients(
            self._loss, self.net.parameters(), device=device, batch_size=recipe.batch_size, say=say
        )

    def step(self, batch: Batch | DeviceBatch, step: int, plateaus: int = 0) -> tuple[Tensor, Tensor]:
        """One update; (mean loss, number of wrong top-1 answers) of the batch before it, on the device.

        All randomness follows from seed and step, so that a resumed run repeats what an uninterrupted one does.
        """
        torch.manual_seed(int(np.random.SeedSequence((self.seed, step)).generate_state(1, np.uint64)[0]))
        progress = recipe_progress(self.recipe, step, self.total_steps)
        self.optimizer.set_rates(progress, plateaus)
        images, labels, noise = (self._to_device(array) for array in (batch.images, batch.labels, batch.noise))
        assert images is not None
        assert labels is not None
        self._begin_training()
        coefficient = rate_at(self.recipe.color_noise, progress)
        try:
            loss, wrong = self._gradients(
                images.contiguous(memory_format=torch.channels_last), labels, noise, coefficient
            )
        except torch.OutOfMemoryError:
            raise RunError(
                f"a batch of {len(images)} does not fit the memory of {self.device}; begin with a smaller --batch-size"
            ) from None
        with self._constraint(step):
            self.optimizer.step()
        return loss, wrong

    def _begin_training(self) -> None:
        """Dropout as the recipe has it, all else as in training."""
        for net in self._nets.values():
            net.train()
            if not self.recipe.dropout:
                for module in net.modules():
                    if isinstance(module, nn.Dropout | TestScaledDropout):
                        module.eval()

    def _loss(self, images: Tensor, labels: Tensor, noise: Tensor | None, coefficient: float) -> tuple[Tensor, Tensor]:
        """Mean loss, and number of wrong top-1 answers."""
        x = self.inputs(images, noise, coefficient, dtype=self.dtype)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            logits = self._nets[images.shape[-1]](x).float()
        loss = LOSSES[self.recipe.loss](logits, labels)
        if (coefficient_of_gradient := self.recipe.loss_coefficient) != 1:  # of the gradient alone, as in 2012
            loss = loss + (coefficient_of_gradient - 1) * (loss - loss.detach())
        return loss, (logits.detach().argmax(1) != labels).sum()

    def rates(self) -> dict[str, float]:
        """The rates now in force, of rows without rates of their own, as logs show them."""
        last, factor = self.net.spec.classifier_rows[0].name, self.recipe.classifier_factor
        kinds = {f"{last}.weight": "lr", f"{last}.bias": "lr_bias"}
        rates = self.optimizer.rates
        return {name: rates[key] / factor for key, name in kinds.items() if key in rates}

    def check_finite(self, step: int) -> None:
        """Refuse to save what the update before `step` has spoiled: the loss shows it only one step later.

        Raises:
            DivergedError: a parameter or a velocity is not a finite number.
        """
        kept = (*self.net.state_dict().values(), *self.optimizer.velocities().values())
        if not all(bool(tensor.isfinite().all()) for tensor in kept):
            raise DivergedError(f"the weights are no numbers any more after step {step}; {WHAT_HELPS}")

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters as arrays of their own."""
        return {key: tensor.detach().float().cpu().numpy().copy("C") for key, tensor in self.net.state_dict().items()}

    def _to_device(self, array: Any) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, device=self.device)


def _at_every_size(net: Net, recipe: Recipe) -> dict[int, Net]:
    """The net for each size of images that the recipe has, around the same parameters.

    Raises:
        SpecError: the net cannot be brought to one of them.
    """
    own = net.spec.input[1]
    others = set(crops_by_epoch(recipe, own)) - {own}
    parameters = dict(net.named_parameters())
    return {own: net} | {side: assemble(smaller(net.spec, side), parameters) for side in others}


class Meter:
    """Means over the steps since the last reading, kept on the device until then.

    `unread`: steps from before an interruption, see `Meter.unread`.
    """

    def __init__(self, unread: Sequence[Measured] = ()) -> None:
        self._steps = [(step, images, torch.tensor(loss), torch.tensor(wrong)) for step, images, loss, wrong in unread]
        self._start_clock()

    def _start_clock(self) -> None:
        self._images, self._start = 0, monotonic()

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, images: int, loss: Tensor, wrong: Tensor) -> None:
        """Count step number `step` (from 1): its images, their mean loss and how many of them are wrong."""
        self._steps.append((step, images, loss, wrong))
        self._images += images

    def unread(self) -> list[Measured]:
        """The steps since the last reading, as plain numbers: (step, images, mean loss, how many are wrong)."""
        return [(step, images, float(loss), int(wrong)) for step, images, loss, wrong in self._steps]

    def read(self) -> dict[str, float]:
        """loss (nats), top1_error and images_per_second since the last reading.

        Raises:
            DivergedError: a loss is not a finite number; names the first such step.
        """
        steps, images, losses, wrong = zip(*self.unread(), strict=True)
        values = np.array(losses)
        if len(spoiled := np.flatnonzero(~np.isfinite(values))):
            raise DivergedError(f"the loss is {values[spoiled[0]]} at step {steps[spoiled[0]]}; {WHAT_HELPS}")
        means = {
            "loss": float(np.average(values, weights=images)),
            "top1_error": sum(wrong) / sum(images),
            "images_per_second": self._images / (monotonic() - self._start),
        }
        self._steps.clear()
        self._start_clock()
        return means


def train_epoch(
    trainer: Trainer,
    batches: Iterable[Batch | DeviceBatch],
    progress: Progress,
    *,
    last_step: int,
    advance: Advance,
    record: Callable[[dict[str, float]], None],
) -> None:
    """Train on `batches`, the last of which is step `last_step`; `progress` is up to date after every step.

    `record(means)` is called about every 20 steps and at the end, with the means since the call before; the losses
    until then have been checked to be finite. `advance` is called after every step and may end the epoch by raising.

    Raises:
        DivergedError: the loss is not a finite number.
    """
    meter, note = Meter(progress.unrecorded), ""
    try:
        for batch in batches:
            if images := len(batch.labels):  # none where all of a batch are damaged
                loss, wrong = trainer.step(batch, progress.step, progress.plateaus)
                meter.add(progress.step + 1, images, loss, wrong)
            progress.step += 1
            if len(meter) and _is_due(progress.step, last_step):
                means = meter.read()
                record(means)
                note = f"loss {means['loss']:.3f}  top-1 error {means['top1_error']:.1%}"
            advance(images, note)
    finally:
        progress.unrecorded = meter.unread()


def _is_due(step: int, last_step: int) -> bool:
    """Every 20 steps, but an epoch does not end on means over so few that they look like spikes in a curve."""
    left = last_step - step
    return left == 0 or (step % STEPS_PER_RECORD == 0 and left >= STEPS_PER_RECORD // 2)
