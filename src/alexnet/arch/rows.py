"""The kinds of rows that a net is made of: frozen dataclasses, and nothing else. Standard library only.

A row reads the row above it unless it names its inputs. Where it has several they are stacked along the channels, which
for a conv or fc row is what the 2012 code's filter banks, one for each input and their outputs summed, amount to.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

Rounding = Literal["floor", "ceil"]


@dataclass(frozen=True)
class Row:
    """One layer: a name and the names of the rows it reads, `()` meaning the row above."""

    kind: ClassVar[str] = "row"
    name: str
    inputs: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Weighted(Row):
    """A row with weights. `weight_std`: weights start as N(0, std^2) and biases as `bias_init`; None: PyTorch's own.

    has_bias: whether something is added to what the weights give.
    """

    weight_std: float | None = field(default=None, kw_only=True)
    bias_init: float | None = field(default=None, kw_only=True)
    has_bias: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class Conv(Weighted):
    """Convolution. `rounding="ceil"` adds zero pixels at the far edges until the last filter fits, as in 2012."""

    kind: ClassVar[str] = "conv"
    out_channels: int
    kernel_size: int
    stride: int = field(default=1, kw_only=True)
    padding: int = field(default=0, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    rounding: Rounding = field(default="floor", kw_only=True)


@dataclass(frozen=True)
class Local(Weighted):
    """A convolution with its own filters and biases at every position (unshared weights)."""

    kind: ClassVar[str] = "local"
    out_channels: int
    kernel_size: int
    stride: int = field(default=1, kw_only=True)
    padding: int = field(default=0, kw_only=True)
    rounding: Rounding = field(default="floor", kw_only=True)


@dataclass(frozen=True)
class Fc(Weighted):
    """Fully connected over the flattened (C, H, W) input; with groups, block by block of channels."""

    kind: ClassVar[str] = "fc"
    out_features: int
    groups: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Lrn(Row):
    """Local response normalization across `size` neighbouring maps: x / (k + a * sum of squares)^beta.

    `alpha_over_size`: a = alpha / size (PyTorch, Caffe, the 2012 code) or a = alpha (the paper's formula).
    `groups`: a window never crosses a boundary between groups (the two towers).
    """

    kind: ClassVar[str] = "lrn"
    size: int = field(default=5, kw_only=True)
    alpha: float = field(default=1e-4, kw_only=True)
    beta: float = field(default=0.75, kw_only=True)
    k: float = field(default=2.0, kw_only=True)
    alpha_over_size: bool = field(default=True, kw_only=True)
    groups: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class SameMapNorm(Row):
    """The 2012 `rnorm`: x / (1 + alpha / size^2 * sum of squares in a size x size window of the same map)^beta."""

    kind: ClassVar[str] = "same_map_norm"
    size: int = field(default=3, kw_only=True)
    alpha: float = field(default=5e-5, kw_only=True)
    beta: float = field(default=0.75, kw_only=True)


@dataclass(frozen=True)
class ContrastNorm(Row):
    """The 2012 `cnorm`: as `SameMapNorm`, but the squares are of the differences from the mean of their own window.

    What is divided is x itself. The mean is over the pixels inside the image.
    """

    kind: ClassVar[str] = "contrast_norm"
    size: int = field(default=3, kw_only=True)
    alpha: float = field(default=5e-5, kw_only=True)
    beta: float = field(default=0.75, kw_only=True)


@dataclass(frozen=True)
class Pool(Row):
    """What the kinds of pooling share. Windows are clipped to the image; `ceil` is the 2012 rule."""

    kernel_size: int
    stride: int
    rounding: Rounding = field(default="ceil", kw_only=True)


@dataclass(frozen=True)
class MaxPool(Pool):
    """Maximum over each window."""

    kind: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class AvgPool(Pool):
    """Mean over each window's pixels inside the image."""

    kind: ClassVar[str] = "avg_pool"


@dataclass(frozen=True)
class RandomPool(Pool):
    """One unit of each window, drawn with a probability in proportion to it, at test too (the 2012 `rand`).

    Units below zero are never drawn; a window without any above gives 0. Source: Zeiler and Fergus 2013.
    """

    kind: ClassVar[str] = "random_pool"


@dataclass(frozen=True)
class AdaptiveAvgPool(Row):
    """Mean over a grid of `output_size` x `output_size` regions, whatever the input size (torchvision)."""

    kind: ClassVar[str] = "adaptive_avg_pool"
    output_size: int


@dataclass(frozen=True)
class Relu(Row):
    """max(0, x)."""

    kind: ClassVar[str] = "relu"


@dataclass(frozen=True)
class Tanh(Row):
    """tanh(x), the saturating unit that the paper compares with."""

    kind: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class Logistic(Row):
    """1 / (1 + e^-x): probabilities of labels that do not exclude each other, when it is the last row."""

    kind: ClassVar[str] = "logistic"


@dataclass(frozen=True)
class Concat(Row):
    """Its inputs, stacked along the channels."""

    kind: ClassVar[str] = "concat"


@dataclass(frozen=True)
class Sum(Row):
    """Its inputs, which have one shape, added up, each times its coefficient (`()`: 1)."""

    kind: ClassVar[str] = "sum"
    coefficients: tuple[float, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Select(Row):
    """Channels of its input by number, in this order, some perhaps more than once (2012: sparse groups)."""

    kind: ClassVar[str] = "select"
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Blur(Row):
    """Each map convolved with a Gaussian of `std` pixels, `kernel_size` of them wide; zero outside the image."""

    kind: ClassVar[str] = "blur"
    kernel_size: int
    std: float


@dataclass(frozen=True)
class Subsample(Row):
    """One pixel in `stride` along each side, the same number left out at both ends (2012 `nailbed`)."""

    kind: ClassVar[str] = "subsample"
    stride: int


@dataclass(frozen=True)
class Mirror(Row):
    """Left and right exchanged (2012 `href`)."""

    kind: ClassVar[str] = "mirror"


@dataclass(frozen=True)
class Dropout(Row):
    """Zero each unit with probability `rate` in training.

    `scale_at="test"`: the 2012 way, multiply by (1 - rate) at test; `"train"`: divide by it in training (Caffe, torch).
    """

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5
    scale_at: Literal["train", "test"] = field(default="test", kw_only=True)


@dataclass(frozen=True)
class Softmax(Row):
    """Probabilities from logits. Modules return the logits; this row names what follows them."""

    kind: ClassVar[str] = "softmax"


ROW_TYPES: dict[str, type[Row]] = {
    row_type.kind: row_type
    for row_type in (
        Conv, Local, Fc, Lrn, SameMapNorm, ContrastNorm, MaxPool, AvgPool, RandomPool, AdaptiveAvgPool, Relu, Tanh,
        Logistic, Concat, Sum, Select, Blur, Subsample, Mirror, Dropout, Softmax,
    )
}  # fmt: skip

ACTIVATIONS = (Relu, Tanh, Logistic)

LEAST = {"padding": 0} | dict.fromkeys(
    ("out_channels", "out_features", "kernel_size", "stride", "groups", "size", "output_size"), 1
)
