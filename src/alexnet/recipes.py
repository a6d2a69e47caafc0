"""What each training run is, as data: rates, decay, augmentation, preprocessing. Standard library only.

Rates are functions of the run's progress, 0 to 1, so that `--epochs N` stretches or squeezes a recipe as a whole.
How a schedule becomes a rate: `alexnet.train.schedule`; how a rate becomes an update: `alexnet.train.sgd`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from alexnet.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Steps:
    """`base` at first, then each (progress, rate) of `drops` from that progress on."""

    base: float
    drops: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class DExp:
    """`num_rates` rates of equal length in geometric order from `base` to `base / factor` (2012 release, lr.cu).

    From progress `frozen_from` on the rate is 0.
    """

    base: float
    factor: float
    num_rates: int
    frozen_from: float | None = None


@dataclass(frozen=True)
class Plateau:
    """Divided by `factor` when validation error has not improved for `patience_epochs`, `times` times; then it ends."""

    base: float
    factor: float = 10.0
    times: int = 3
    patience_epochs: int = 2


Schedule = Steps | DExp | Plateau


@dataclass(frozen=True)
class Rates:
    """Learning rates of a row's weights and of its biases. A rate of 0 freezes momentum and decay too, as in 2012."""

    weights: Schedule
    biases: Schedule


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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run, net and data set aside.

    rates: for all rows; row_rates: for the rows named. weight_decay: of weights; row_decay likewise by row.
    update: "2012" keeps the rate inside the velocity, "pytorch" outside; they differ when the rate changes.
    hold_steps: the first drop waits for so many steps, or for 0.7 of the run if that is less; progress before and after
        is rescaled. A squeezed run would otherwise leave its high rate before the loss has left chance. Ours.
    crops: one draw of offset and flip for each `chunk_size` images ("chunk", 2012), each image ("image"), or "center".
    color_noise: coefficient of the PCA colour offsets, as a schedule. resize_ratio: canvas side / crop side.
    constraint: what the weights are held to after every update, to make a net small.
    mean: subtract the training set's mean "image" or mean "color", or these three numbers (after `scale`).
    """

    name: str
    source: str
    epochs: int
    batch_size: int = 128
    rates: Rates
    row_rates: Mapping[str, Rates] = field(default_factory=dict)
    momentum: float = 0.9
    weight_decay: float = 0.0005
    row_decay: Mapping[str, float] = field(default_factory=dict)
    bias_decay: float = 0.0
    update: Literal["2012", "pytorch"] = "2012"
    hold_steps: int = 0
    crops: Literal["chunk", "image", "center"] = "image"
    chunk_size: int = 32
    flip: bool = True
    color_noise: Steps = Steps(0.0)
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
        factor = lr / self.rates.weights.base
        return replace(
            self,
            rates=_scaled(self.rates, factor),
            row_rates={row: _scaled(rates, factor) for row, rates in self.row_rates.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers; schedules carry their `kind`."""

        def plain(value: Any) -> Any:
            if isinstance(value, Steps | DExp | Plateau | Pruning | SharedValues):
                return {"kind": type(value).__name__.lower(), **plain(vars(value))}
            if isinstance(value, Rates):
                return plain(vars(value))
            if isinstance(value, Mapping):
                return {key: plain(item) for key, item in value.items()}
            return [plain(item) for item in value] if isinstance(value, tuple) else value

        return dict(plain(vars(self)))


def _scaled(rates: Rates, factor: float) -> Rates:
    return Rates(_scaled_schedule(rates.weights, factor), _scaled_schedule(rates.biases, factor))


def _scaled_schedule(schedule: Schedule, factor: float) -> Schedule:
    if isinstance(schedule, Steps):
        drops = tuple((progress, rate * factor) for progress, rate in schedule.drops)
        return Steps(schedule.base * factor, drops)
    return replace(schedule, base=schedule.base * factor)


# The run behind the paper, from the comments of layer-params-145.cfg: 91 epochs, every change made by hand at the
# epoch given here. Biases keep their 0.02; the first layer is slowed, then frozen; colour noise ends with the slowing.
KRIZHEVSKY_145 = Recipe(
    name="krizhevsky-145",
    source="2012 release, layer-params-145.cfg and its log; data: convdata_jpeg.py",
    epochs=91,
    rates=Rates(
        weights=Steps(0.01, ((25 / 91, 0.001), (51 / 91, 0.0001), (79 / 91, 0.00001))),
        biases=Steps(0.02),
    ),
    row_rates={
        "conv1": Rates(
            weights=Steps(0.01, ((25 / 91, 0.001), (51 / 91, 0.0001), (67 / 91, 0.00001), (72 / 91, 0.0))),
            biases=Steps(0.02, ((72 / 91, 0.0),)),
        )
    },
    hold_steps=10_000,  # one epoch of ImageNet, a tenth of what the 2012 run gave its first rate
    crops="chunk",
    color_noise=Steps(0.1, ((67 / 91, 0.0),)),
)

# The prose: one rate for all, divided by 10 when validation error stops improving, three times; a crop an image.
PAPER = Recipe(
    name="paper",
    source="Krizhevsky et al. 2012, sec. 4.1 and 5; colour noise as coded; the patience is ours",
    epochs=90,
    rates=Rates(weights=Plateau(0.01), biases=Plateau(0.01)),
    color_noise=Steps(0.1),
)

# The best of the author's automatic schedules (net 170): four rates over a factor of 250, biases two over 10.
DEXP = replace(
    KRIZHEVSKY_145,
    name="dexp",
    source="2013 runs of the release, layer-params-170.cfg: 40.5 / 18.0 % with ten views",
    epochs=90,
    rates=Rates(weights=DExp(0.01, 250, 4), biases=DExp(0.02, 10, 2)),
    row_rates={
        # Frozen for the last 15 to 30 of 90 epochs, says the log; 20 here.
        "conv1": Rates(weights=DExp(0.01, 250, 4, frozen_from=70 / 90), biases=DExp(0.02, 10, 2, frozen_from=70 / 90))
    },
    hold_steps=0,
    color_noise=Steps(0.1, ((70 / 90, 0.0),)),
)

CAFFE = Recipe(
    name="caffe",
    # Differs: Caffe subtracts the mean image before it crops; here its centre is subtracted from every crop.
    source="BVLC/caffe models/bvlc_alexnet/solver.prototxt: 450,000 steps of 256, a tenth every 100,000",
    epochs=90,
    batch_size=256,
    rates=Rates(
        weights=Steps(0.01, tuple((drop / 4.5, 0.01 * 10**-drop) for drop in range(1, 5))),
        biases=Steps(0.02, tuple((drop / 4.5, 0.02 * 10**-drop) for drop in range(1, 5))),
    ),
    resize_ratio=256 / 227,
    warp=True,
    channel_order="BGR",
)

_THIRDS = Steps(0.01, ((1 / 3, 0.001), (2 / 3, 0.0001)))
ONE_WEIRD_TRICK = Recipe(
    name="one-weird-trick",
    source="torchvision references/classification for alexnet; differs: crops of a fixed scale",
    epochs=90,
    batch_size=256,
    rates=Rates(weights=_THIRDS, biases=_THIRDS),
    weight_decay=1e-4,
    bias_decay=1e-4,
    update="pytorch",
    mean=(0.485, 0.456, 0.406),
    scale=1 / 255,
    std=(0.229, 0.224, 0.225),
)


def _cifar_rates(drops: tuple[float, ...]) -> Rates:
    """cuda-convnet's 0.001 for weights and 0.002 for biases, a tenth of that from each drop on."""
    return Rates(
        weights=Steps(0.001, tuple((at, 0.001 * 0.1**n) for n, at in enumerate(drops, 1))),
        biases=Steps(0.002, tuple((at, 0.002 * 0.1**n) for n, at in enumerate(drops, 1))),
    )


CIFAR_18PCT = Recipe(
    name="cifar-18pct",
    source="cuda-convnet, layer-params-18pct.cfg: 120 epochs, then 10 and 10 at a tenth each; no augmentation",
    epochs=140,
    rates=_cifar_rates((120 / 140, 130 / 140)),
    weight_decay=0.004,
    row_decay={"fc10": 1.0},
    crops="center",
    flip=False,
    resize_ratio=1.0,
)

CIFAR_80SEC = replace(
    CIFAR_18PCT,
    name="cifar-80sec",
    source="cuda-convnet, layer-params-80sec.cfg; the number of epochs is ours",
    epochs=30,
    rates=_cifar_rates((20 / 30, 25 / 30)),
    row_decay={"fc64": 0.03, "fc10": 0.03},
)

CIFAR_13PCT = replace(
    CIFAR_18PCT,
    name="cifar-13pct",
    source="cuda-convnet, layer-params-conv-local-13pct.cfg; ours: epochs, and flips without translations",
    epochs=520,
    rates=_cifar_rates((500 / 520, 510 / 520)),
    row_decay={"conv1": 0.0, "conv2": 0.0},
    crops="image",
    flip=True,
)

CIFAR_11PCT = replace(
    CIFAR_13PCT,
    name="cifar-11pct",
    source="cuda-convnet, layer-params-conv-local-11pct.cfg: 24-pixel crops of 32; differs: all batches at once",
    row_decay={"conv1": 0.0, "conv2": 0.0, "fc10": 0.01},
    resize_ratio=32 / 24,
)

CIFAR_RELU = replace(
    CIFAR_18PCT,
    name="cifar-relu",
    source="ours, for figure 1: cifar-18pct without any regularization, as the figure's caption says",
    weight_decay=0.0,
    row_decay={},
)

DIGITS = Recipe(
    name="digits",
    source="ours, for the first minute",
    epochs=12,
    batch_size=64,
    rates=Rates(
        weights=Steps(0.005, ((0.6, 0.001), (0.85, 0.0002))),
        biases=Steps(0.01, ((0.6, 0.002), (0.85, 0.0004))),
    ),
    flip=False,  # a mirrored 2 is not a 2
    resize_ratio=18 / 16,
    mean="color",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        KRIZHEVSKY_145, PAPER, DEXP, CAFFE, ONE_WEIRD_TRICK,
        CIFAR_80SEC, CIFAR_18PCT, CIFAR_13PCT, CIFAR_11PCT, CIFAR_RELU, DIGITS,
    )
}  # fmt: skip

# Nets whose recipe has another name than they have.
_RECIPE_OF_NET = {"paper-2012": "paper", "caffenet": "caffe"}


def find_recipe(name: str) -> Recipe:
    """The named recipe.

    Raises:
        UnknownNameError: no such recipe; the message offers the nearest names.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]


def default_recipe(net: str) -> Recipe:
    """The recipe that a net was published with; ablations train as their net does."""
    base = net.split("+")[0]
    return RECIPES.get(_RECIPE_OF_NET.get(base, base), KRIZHEVSKY_145)


def pruning(recipe: Recipe, size: int) -> Recipe:
    """A trained net pruned to `size` bytes by the recipe it was trained with: at a tenth of the first rate, then less.

    Source: Han, Pool, Tran and Dally 2015, sec. 3 (a tenth for the retraining of a pruned net); the rest is ours.
    """
    return _constrained(recipe, Pruning(bytes=size), 0.1)


def sharing_values(recipe: Recipe) -> Recipe:
    """A trained net, pruned or not, made to share values: at a hundredth of the first rate, then a thousandth. Ours."""
    return _constrained(recipe, SharedValues(), 0.01)


def _constrained(recipe: Recipe, constraint: Pruning | SharedValues, factor: float) -> Recipe:
    weights, biases = (
        Steps(factor * rate.base, ((0.8, 0.1 * factor * rate.base),))
        for rate in (recipe.rates.weights, recipe.rates.biases)
    )
    rates = Rates(weights=weights, biases=biases)
    return replace(recipe, rates=rates, row_rates={}, hold_steps=0, constraint=constraint)
