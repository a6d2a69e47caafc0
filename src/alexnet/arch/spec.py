"""A network as data: frozen rows in a tuple, and nothing else. Standard library only.

A row reads the row above it unless it names its inputs, so chains and the two-tower graphs of the 2012 files are one
type. Where a conv or fc row has several inputs they are stacked along the channels, as the 2012 code's per-input
filter banks (their outputs summed) amount to.

Sizes, parameters and costs follow from the rows: see `alexnet.arch.shapes`. Modules: `alexnet.nn.build`.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from alexnet.errors import SpecError

IMAGE = "image"  # the name under which the first row's input is known

Rounding = Literal["floor", "ceil"]


@dataclass(frozen=True)
class Row:
    """One layer: a name and the names of the rows it reads, `()` meaning the row above."""

    kind: ClassVar[str] = "row"
    name: str
    inputs: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Weighted(Row):
    """A row with weights. `weight_std`: weights start as N(0, std^2) and biases as `bias_init`; None: PyTorch's own."""

    weight_std: float | None = field(default=None, kw_only=True)
    bias_init: float | None = field(default=None, kw_only=True)


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
class Pool(Row):
    """What the two kinds of pooling share. Windows are clipped to the image; `ceil` is the 2012 rule."""

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
        Conv, Local, Fc, Lrn, SameMapNorm, MaxPool, AvgPool, AdaptiveAvgPool, Relu, Tanh, Dropout, Softmax
    )
}  # fmt: skip

ACTIVATIONS = (Relu, Tanh)

LEAST = {"padding": 0} | dict.fromkeys(
    ("out_channels", "out_features", "kernel_size", "stride", "groups", "size", "output_size"), 1
)


@dataclass(frozen=True)
class Spec:
    """A network: where it comes from, what it takes, and its rows from image to probabilities.

    `input`: (channels, height, width) of one image. `published_error`: what its source reports, with the protocol.

    Raises:
        SpecError: two rows share a name, a row reads one that is not above it or has a setting that nothing can have,
            or the last row is not a softmax of fc.
    """

    name: str
    source: str
    input: tuple[int, int, int]
    rows: tuple[Row, ...]
    published_error: str = ""

    def __post_init__(self) -> None:
        seen = {IMAGE}
        for row in self.rows:
            if row.name in seen or not row.name.isidentifier():
                raise SpecError(f"{self.name}: row name {row.name!r} is taken or not an identifier")
            if missing := [name for name in row.inputs if name not in seen]:
                raise SpecError(f"{self.name}: row {row.name} reads {', '.join(missing)}, which is not above it")
            if small := [key for key, least in LEAST.items() if getattr(row, key, least) < least]:
                raise SpecError(f"{self.name}: row {row.name} has too small a {' and '.join(small)}")
            if isinstance(row, Dropout) and not 0 <= row.rate < 1:
                raise SpecError(f"{self.name}: row {row.name} drops at rate {row.rate}; it must be from 0 to below 1")
            seen.add(row.name)
        last = self.rows[-1] if self.rows else None
        logits = self.inputs_of(last) if isinstance(last, Softmax) else ()
        if [type(self[name]) for name in logits if name in self] != [Fc] or len(logits) > 1:
            raise SpecError(f"{self.name}: the rows must end with an fc row and its softmax")

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __contains__(self, name: str) -> bool:
        return any(row.name == name for row in self.rows)

    def inputs_of(self, row: Row) -> tuple[str, ...]:
        """The names of the rows that `row` reads, the default (the row above) filled in."""
        position = self.rows.index(row)
        return row.inputs or (self.rows[position - 1].name if position else IMAGE,)

    @property
    def classifier(self) -> Row:
        """The row whose outputs are the logits."""
        (logits,) = self.inputs_of(self.rows[-1])
        return self[logits]

    @property
    def num_classes(self) -> int:
        """How many classes the last fc row tells apart."""
        assert isinstance(self.classifier, Fc)
        return self.classifier.out_features

    def with_classes(self, num_classes: int) -> "Spec":
        """The same net with another number of outputs."""
        if num_classes < 2:
            raise SpecError(f"num_classes is {num_classes}; a classifier needs at least 2")
        return self.with_rows({self.classifier.name: replace(self.classifier, out_features=num_classes)})  # type: ignore[call-arg]

    def with_input(self, input_size: int) -> "Spec":
        """The same rows on square images of another size; `shapes.measure` says whether they fit."""
        return replace(self, input=(self.input[0], input_size, input_size))

    def with_rows(self, changed: dict[str, Row]) -> "Spec":
        """The same net with the named rows replaced."""
        return replace(self, rows=tuple(changed.get(row.name, row) for row in self.rows))

    def without_rows(self, dropped: set[str]) -> "Spec":
        """The same net with the named rows taken out; whoever read them reads what they read."""
        source = {row.name: self.inputs_of(row) for row in self.rows if row.name in dropped}

        def rewired(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(kept for name in names for kept in (rewired(source[name]) if name in source else (name,)))

        rows: list[Row] = []
        for row in self.rows:
            if row.name not in dropped:
                inputs, above = rewired(self.inputs_of(row)), rows[-1].name if rows else IMAGE
                rows.append(replace(row, inputs=() if inputs == (above,) else inputs))
        return replace(self, rows=tuple(rows))
