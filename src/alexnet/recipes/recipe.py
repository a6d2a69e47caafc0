"""The type of a training run: rates, decay, augmentation, preprocessing. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alexnet.errors import InputError


@dataclass(frozen=True)
class Steps:
    """`base` at first, then each (progress, rate) of `drops` from that progress on."""

    base: float
    drops: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class DExp:
    """`num_rates` rates of equal length in geometric order from `base` to `base / factor` (2012 release, lr.cu).

    From progress `frozen_from` on the rate is 0. smooth: the second half of a rate, between progress 0.2 and 0.9, is
    the geometric mean of it and the one before (`jdexp`). noise: see `Exp`.
    """

    base: float
    factor: float
    num_rates: int
    frozen_from: float | None = None
    smooth: bool = False
    noise: float = 0.0


@dataclass(frozen=True)
class Exp:
    """From `base` to `base / factor` by the same share in every step (2012 release, lr.cu).

    noise: every update multiplies the rate by one plus this many absolute standard normals.
    """

    base: float
    factor: float
    noise: float = 0.0


@dataclass(frozen=True)
class Plateau:
    """Divided by `factor` when validation error has not improved for `patience_epochs`, `times` times; then it ends."""

    base: float
    factor: float = 10.0
    times: int = 3
    patience_epochs: int = 2


@dataclass(frozen=True)
class Linear:
    """From `base` to `final` in a straight line; down to 0 is the best a short run can do (Li, Yumer and Ramanan 2020).

    noise: see `Exp`.
    """

    base: float
    final: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Poly:
    """`base` times the `power`th power of the progress that is left (Caffe's `poly`)."""

    base: float
    power: float = 2.0


Schedule = Steps | DExp | Exp | Plateau | Linear | Poly


@dataclass(frozen=True)
class Rates:
    """Learning rates of a row's weights and of its biases. A rate of 0 freezes momentum and decay too, as in 2012."""

    weights: Schedule
    biases: Schedule


@dataclass(frozen=True)
class Momenta:
    """Momentum of a row's weights and of its biases."""

    weights: float
    biases: float


@dataclass(frozen=True, kw_only=True)
class FilterLimits:
    """What each filter of a row, its weights for one output, is scaled back to after every update; 0: not at all.

    longest: its norm, for each of its weights. least, most: its deviation from its mean, the root of the sum of
    squares, over the number of weights. Source: 2012 release, layer.py (`wball`, `wcNormMin`, `wcNormMax`).
    """

    longest: float = 0.0
    least: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SharedValues:
    """The weights of an fc row have at most `fc` values besides zero, those of other rows at most `conv`.

    Source: Han, Mao and Dally 2016 (5 bits, and 8). Differs: 7 bits, which with trained values are enough.
    """

    conv: int = 127
    fc: int = 31


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Weights are taken away until `until` (progress) of the run, so that those left will take about `bytes`.

    They are thought of as coded, with as many values as `shared` allows.
    """

    bytes: int
    until: float = 0.7
    shared: SharedValues = SharedValues()


LossName = Literal["logreg", "crossent2", "rflickr", "sum2"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run, net and data set aside.

    rates: for all rows; row_rates: for the rows named; those of the classifier are `classifier_factor` times that.
    weight_decay: of weights; row_decay likewise by row, and so momentum and row_momenta. row_limits: of filters.
    loss: what is made small, see `alexnet.train.losses`; its gradient is taken times `loss_coefficient`.
    update: "2012" keeps the rate inside the velocity, "pytorch" outside; they differ when the rate changes. "lars": as
        in 2012, each row's rate following its norms, see `alexnet.train.sgd`; `trust` is its coefficient.
    warmup_steps: in so many steps the rates grow to what they are, in a straight line.
    hold_steps: the first drop waits for so many steps, or for 0.7 of the run if that is less; progress before and after
        is rescaled. A squeezed run would otherwise leave its high rate before the loss has left chance. Ours.
    crops: one draw of offset and flip for each `chunk_size` images ("chunk", 2012), each image ("image"), or "center".
    dropout: whether the net's dropout drops units; else it does in training what it does at test.
    color_noise: coefficient of the PCA colour offsets, as a schedule. resize_ratio: canvas side / crop side.
    image_share: side of an epoch's images / side of the net's, as a schedule; see `alexnet.arch.smaller`.
    constraint: what the weights are held to after every update, to make a net small.
    mean: subtract the training set's mean "image" or mean "color", or these three numbers (after `scale`).
    """

    name: str
    source: str
    epochs: int
    batch_size: int = 128
    rates: Rates
    row_rates: Mapping[str, Rates] = field(default_factory=dict)
    classifier_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.0005
    row_momenta: Mapping[str, Momenta] = field(default_factory=dict)
    row_decay: Mapping[str, float] = field(default_factory=dict)
    row_limits: Mapping[str, FilterLimits] = field(default_factory=dict)
    bias_decay: float = 0.0
    loss: LossName = "logreg"
    loss_coefficient: float = 1.0
    update: Literal["2012", "pytorch", "lars"] = "2012"
    trust: float = 0.001
    warmup_steps: int = 0
    hold_steps: int = 0
    crops: Literal["chunk", "image", "center"] = "image"
    chunk_size: int = 32
    flip: bool = True
    dropout: bool = True
    color_noise: Steps = Steps(0.0)
    image_share: Steps = Steps(1.0)
    resize_ratio: float = 256 / 224
    warp: bool = False
    channel_order: Literal["RGB", "BGR"] = "RGB"
    mean: Literal["image", "color"] | tuple[float, float, float] = "image"
    scale: float = 1.0
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    constraint: Pruning | SharedValues | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def with_lr(self, lr: float) -> "Recipe":
        """The same recipe with `lr` as the first rate of the weights; all other rates keep their ratio to it."""
        if not 0 < lr < float("inf"):
            raise InputError(f"the learning rate is {lr}; it must be a number above 0")
        if not self.rates.weights.base:
            raise InputError(f"{self.name} has a rate of 0 for the classifier, from which the others cannot be scaled")
        factor = lr / self.rates.weights.base
        return replace(
            self,
            rates=_scaled(self.rates, factor),
            row_rates={row: _scaled(rates, factor) for row, rates in self.row_rates.items()},
        )

    def rates_of(self, row: str, *, is_classifier: bool) -> Rates:
        """The rates of one row of a net; is_classifier: the logits come from it."""
        return _scaled(self.row_rates.get(row, self.rates), self.classifier_factor if is_classifier else 1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers; schedules carry their `kind`."""

        def plain(value: Any) -> Any:
            if isinstance(value, Schedule | Pruning | SharedValues):
                return {"kind": type(value).__name__.lower(), **plain(vars(value))}
            if isinstance(value, Rates | Momenta | FilterLimits):
                return plain(vars(value))
            if isinstance(value, Mapping):
                return {key: plain(item) for key, item in value.items()}
            return [plain(item) for item in value] if isinstance(value, tuple) else value

        return dict(plain(vars(self)))


def _scaled(rates: Rates, factor: float) -> Rates:
    return Rates(_scaled_schedule(rates.weights, factor), _scaled_schedule(rates.biases, factor))


def _scaled_schedule(schedule: Schedule, factor: float) -> Schedule:
    if factor == 1:
        return schedule
    if isinstance(schedule, Steps):
        drops = tuple((progress, rate * factor) for progress, rate in schedule.drops)
        return Steps(schedule.base * factor, drops)
    if isinstance(schedule, Linear):
        return replace(schedule, base=schedule.base * factor, final=schedule.final * factor)
    return replace(schedule, base=schedule.base * factor)
