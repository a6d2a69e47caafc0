"""The training loop: one step, one epoch, then many. What surrounds it (folders, options) is in `alexnet.train.run`."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.loader import Batch
from alexnet.errors import DivergedError, InputError, RunError
from alexnet.nn import InputLayer
from alexnet.nn.layers import TestScaledDropout, TrainScaledDropout
from alexnet.recipes import Recipe
from alexnet.spans import Span
from alexnet.train.checkpoint import Measured, Progress
from alexnet.train.compiled import Gradients
from alexnet.train.constraint import constraint_of
from alexnet.train.layout import Layout
from alexnet.train.losses import LOSSES
from alexnet.train.observer import Advance
from alexnet.train.on_device import DeviceBatch
from alexnet.train.schedule import rate_at, recipe_progress, warmup_share
from alexnet.train.sgd import Sgd2012
from alexnet.train.share import Share

STEPS_PER_RECORD = 20

WHAT_HELPS = "what was saved before is kept, begin another run with a lower --lr"


class Trainer:
    """A net in its layout, its update and its recipe.

    `dtype`: of convolutions and products (bf16 under autocast, or float32); weights and updates stay float32.
    `images_per_pass`: a step whose images are more than this goes through the net in several passes, whose gradients
    are added up: the same step with less memory. `say` is told where the device's fast way cannot be taken.

    Raises:
        InputError: several passes in a layout that takes one.
    """

    def __init__(
        self,
        layout: Layout,
        recipe: Recipe,
        inputs: InputLayer,
        *,
        device: torch.device,
        dtype: torch.dtype,
        seed: int,
        total_steps: int,
        images_per_pass: int | None = None,
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.layout, self.net = layout, layout.module
        self.inputs = inputs.to(device)
        self.optimizer = Sgd2012(self.net, recipe, layout.sums)
        self.recipe, self.device, self.dtype = recipe, device, dtype
        self.seed, self.total_steps = seed, total_steps
        self.images_per_pass = images_per_pass or recipe.batch_size
        if self.images_per_pass < recipe.batch_size and not layout.takes_passes:
            raise InputError("--parallel one-weird-trick takes a batch in one pass; leave --images-per-pass out")
        self._constraint = constraint_of(self.net, self.optimizer, recipe, total_steps)
        self._gradients = Gradients(
            self._loss,
            self.net.parameters(),
            compiles=device.type == "cuda" and layout.may_compile and self.images_per_pass >= recipe.batch_size,
            batch_size=recipe.batch_size,
            say=say,
        )

    def step(
        self, batch: Batch | DeviceBatch, step: int, plateaus: int = 0, share: Share | None = None
    ) -> tuple[Tensor, Tensor]:
        """One update; (mean loss, number of wrong top-1 answers) of the batch before it, on the device.

        `share`: where the batch is only this process's part of the step's; both results are then of all of it.
        All randomness follows from seed and step, so that a resumed run repeats what an uninterrupted one does.
        """
        progress = recipe_progress(self.recipe, step, self.total_steps)
        rng = np.random.default_rng((self.seed, step))
        self.optimizer.set_rates(progress, plateaus, warmup_share(self.recipe, step), rng)
        images, labels, noise = (self._to_device(array) for array in (batch.images, batch.labels, batch.noise))
        assert images is not None
        assert labels is not None
        self._begin_training()
        coefficient = rate_at(self.recipe.color_noise, progress)
        try:
            loss, wrong = self._pass_by_pass(step, images, labels, noise, coefficient, share or Share((len(labels),)))
        except torch.OutOfMemoryError:
            raise RunError(
                f"a batch of {len(images)} does not fit the memory of {self.device}; take it in several passes, "
                "with --images-per-pass, or begin with a smaller --batch-size"
            ) from None
        with self._constraint(step):
            self.optimizer.step()
        return self.layout.totals(loss, wrong)

    def _pass_by_pass(
        self, step: int, images: Tensor, labels: Tensor, noise: Tensor | None, coefficient: float, share: Share
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the step; what this process adds to its mean loss, and its wrong answers."""
        images = images.contiguous(memory_format=torch.channels_last)
        found: list[tuple[Tensor, Tensor]] = []
        starts = range(0, max(len(labels), 1), self.images_per_pass)
        for start in starts:
            place = slice(start, min(start + self.images_per_pass, len(labels)))
            own = Span(share.own.start + start, place.stop - start, share.total)
            self.layout.set_draws((self.seed, step), own, share)
            with self.layout.more_to_come() if start != starts[-1] else nullcontext():
                colours = None if noise is None else noise[place]
                found.append(
                    self._gradients(images[place], labels[place], colours, coefficient, share, adds=bool(found))
                )
        losses, wrong = zip(*found, strict=True)
        return torch.stack(losses).sum(), torch.stack(wrong).sum()

    def _begin_training(self) -> None:
        """Dropout as the recipe has it, all else as in training."""
        for net in (self.layout.module, *self.layout.nets.values()):
            net.train()
            if not self.recipe.dropout:
                for module in net.modules():
                    if isinstance(module, TrainScaledDropout | TestScaledDropout):
                        module.eval()

    def _loss(
        self, images: Tensor, labels: Tensor, noise: Tensor | None, coefficient: float, share: Share
    ) -> tuple[Tensor, Tensor]:
        """What these images add to the mean loss of the step's, and how many top-1 answers are wrong."""
        x = self.inputs(images, noise, coefficient, dtype=self.dtype)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            logits = self.layout.logits(x, share)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        labels = self.layout.labels(labels, share)
        loss = LOSSES[self.recipe.loss](logits, labels) if len(labels) else logits.sum()  # 0, with a gradient
        if len(labels) != share.total:
            loss = loss * (len(labels) / share.total)
        if (coefficient_of_gradient := self.recipe.loss_coefficient) != 1:  # of the gradient alone, as in 2012
            loss = loss + (coefficient_of_gradient - 1) * (loss - loss.detach())
        return loss, (logits.detach().argmax(1) != labels).sum()

    def rates(self) -> dict[str, float]:
        """The rates now in force, of rows without rates of their own, as logs show them."""
        last, factor = self.layout.spec.classifier_rows[0].name, self.recipe.classifier_factor
        kinds = {f"{last}.weight": "lr", f"{last}.bias": "lr_bias"}
        rates = self.optimizer.rates
        return {name: rates[key] / factor for key, name in kinds.items() if key in rates}

    def check_finite(self, step: int) -> None:
        """Refuse to save what the update before `step` has spoiled: the loss shows it only one step later.

        Raises:
            DivergedError: a parameter or a velocity is not a finite number.
        """
        kept = (*self.net.parameters(), *self.optimizer.velocities().values())
        if not all(bool(tensor.isfinite().all()) for tensor in kept):
            raise DivergedError(f"the weights are no numbers any more after step {step}; {WHAT_HELPS}")

    def weights(self) -> dict[str, Tensor]:
        """The present parameters of the whole net, by name; in a net in parts all processes must call it."""
        return self.layout.join({name: each.detach() for name, each in self.net.named_parameters()})

    def velocities(self) -> dict[str, Tensor]:
        """Their velocities, see `Sgd2012.velocities`; likewise."""
        return self.layout.join(self.optimizer.velocities())

    def load(self, weights: Mapping[str, Tensor], velocities: Mapping[str, Tensor]) -> None:
        """Go on from what `weights` and `velocities` gave, in whatever layout.

        Raises:
            RuntimeError, KeyError: they are of another net.
        """
        if weights.keys() != velocities.keys():
            raise KeyError("weights and velocities are not of one net")
        self.net.load_state_dict(self.layout.split(weights))
        self.optimizer.load_velocities(self.layout.split(velocities))

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters as arrays of their own."""
        return {key: tensor.detach().float().cpu().numpy().copy("C") for key, tensor in self.weights().items()}

    def _to_device(self, array: Any) -> Tensor | None:
        return None if array is None else torch.as_tensor(array, device=self.device)


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
    batches: Iterable[tuple[Batch | DeviceBatch, Share]],
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
        for batch, share in batches:
            if images := share.total:  # none where all of a batch are damaged
                loss, wrong = trainer.step(batch, progress.step, progress.plateaus, share)
                meter.add(progress.step + 1, images, loss, wrong)
            progress.step += 1
            if len(meter) and _is_due(progress.step, last_step):
                means = meter.read()
                record(means)
                note = f"loss {means['loss']:.3f}  top-1 error {means['top1_error']:.1%}"
            advance(images, note)
    except RuntimeError:  # of a device or a connection: to read what they still owe may wait for good
        raise
    except BaseException:
        progress.unrecorded = meter.unread()
        raise
    progress.unrecorded = meter.unread()


def _is_due(step: int, last_step: int) -> bool:
    """Every 20 steps, but an epoch does not end on means over so few that they look like spikes in a curve."""
    left = last_step - step
    return left == 0 or (step % STEPS_PER_RECORD == 0 and left >= STEPS_PER_RECORD // 2)
