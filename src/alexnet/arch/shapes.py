"""What follows from a Spec without building it: sizes, parameters, multiply-adds, memory, receptive fields.

Sources: geometry of the 2012 code (layer.py: counts round up, windows clipped to the image), paper sec. 3.5.
Standard library only.
"""

from dataclasses import dataclass
from math import ceil, floor, prod

from alexnet.arch.rows import (
    AdaptiveAvgPool,
    Blur,
    ContrastNorm,
    Conv,
    Fc,
    Local,
    Lrn,
    Pool,
    Rounding,
    Row,
    SameMapNorm,
    Select,
    Softmax,
    Subsample,
    Sum,
)
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import SpecError

Shape = tuple[int, int, int]  # (channels, height, width) of one image's activations

FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Field:
    """The pixels that one unit sees: a square of `size`, `stride` pixels from its neighbour's."""

    size: int
    stride: int


@dataclass(frozen=True)
class RowShape:
    """One row, measured. `weight` and `bias` are the shapes of its parameters, `()` where it has none."""

    row: Row
    inputs: tuple[str, ...]
    input: Shape
    output: Shape
    weight: tuple[int, ...]
    bias: tuple[int, ...]
    macs: int
    field: Field

    @property
    def params(self) -> int:
        """Weights and biases."""
        return sum(prod(shape) for shape in (self.weight, self.bias) if shape)

    @property
    def neurons(self) -> int:
        """Outputs of conv, local and fc rows, as the paper counts; 0 for the others."""
        return prod(self.output) if self.weight else 0

    @property
    def activation_bytes(self) -> int:
        """float32 bytes of this row's output for one image."""
        return FLOAT32_BYTES * prod(self.output)


def conv_extent(size: int, kernel_size: int, stride: int, padding: int, rounding: Rounding) -> tuple[int, int]:
    """Outputs along one axis, and the zero pixels to add at the far edge so that the last filter fits.

    The 2012 rule ("ceil") is 1 + ceil((2 * padding + size - kernel_size) / stride): 224 gives 55, with 3 extra pixels.
    """
    span = (size + 2 * padding - kernel_size) / stride
    count = 1 + (ceil(span) if rounding == "ceil" else floor(span))
    return count, max(0, (count - 1) * stride + kernel_size - size - padding)


def pool_extent(size: int, kernel_size: int, stride: int, rounding: Rounding) -> int:
    """Pooling outputs along one axis. As in PyTorch, no window starts outside the image."""
    span = (size - kernel_size) / stride
    count = 1 + (ceil(span) if rounding == "ceil" else floor(span))
    return count - 1 if (count - 1) * stride >= size else count


def subsample_extent(size: int, stride: int) -> tuple[int, int]:
    """Pixels kept along one axis, and the first of them: the 2012 rule, which leaves out as many at both ends."""
    count = ceil(size / stride)
    return count, (size - stride * (count - 1)) // 2


def measure(spec: Spec) -> tuple[RowShape, ...]:
    """Every row of `spec` with its sizes and costs, in order.

    Raises:
        SpecError: a row does not fit its input; the message names the row.
    """
    height, width = spec.input[1:]
    shapes: dict[str, Shape] = {IMAGE: spec.input}
    fields: dict[str, Field] = {IMAGE: Field(1, 1)}
    measured = []
    for row in spec.rows:
        inputs = spec.inputs_of(row)
        shape = _stacked(spec.name, row, [shapes[name] for name in inputs])
        seen = max((fields[name] for name in inputs), key=lambda field: field.size)
        output, weight, bias, macs = _measure_row(spec.name, row, shape)
        shapes[row.name] = output
        fields[row.name] = _field(row, seen, max(height, width))
        measured.append(RowShape(row, inputs, shape, output, weight, bias, macs, fields[row.name]))
    return tuple(measured)


def output_of(net: str, row: Row, shapes: list[Shape]) -> Shape:
    """What a row of `net` makes of inputs of these shapes.

    Raises:
        SpecError: it does not fit them.
    """
    return _measure_row(net, row, _stacked(net, row, shapes))[0]


def _stacked(net: str, row: Row, shapes: list[Shape]) -> Shape:
    if len({shape[1:] for shape in shapes}) > 1:
        raise SpecError(f"{net}: the inputs of row {row.name} have different sizes: {shapes}")
    if isinstance(row, Sum) and (len(set(shapes)) > 1 or len(row.coefficients) not in (0, len(shapes))):
        raise SpecError(f"{net}: row {row.name} cannot add up {shapes} with {len(row.coefficients)} coefficients")
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _measure_row(net: str, row: Row, shape: Shape) -> tuple[Shape, tuple[int, ...], tuple[int, ...], int]:
    """(output, weight shape, bias shape, multiply-adds) of one row."""
    measured = _sizes(net, row, shape)
    if min(measured[0]) < 1:
        raise SpecError(f"{net}: row {row.name} leaves nothing of its {shape} input; use larger images")
    return measured


def _sizes(net: str, row: Row, shape: Shape) -> tuple[Shape, tuple[int, ...], tuple[int, ...], int]:
    channels, height, width = shape
    match row:
        case Conv() | Local():
            groups = row.groups if isinstance(row, Conv) else 1
            _check_groups(net, row, groups, channels, row.out_channels)
            rows, _ = conv_extent(height, row.kernel_size, row.stride, row.padding, row.rounding)
            columns, _ = conv_extent(width, row.kernel_size, row.stride, row.padding, row.rounding)
            positions = rows * columns
            filters = (row.out_channels, channels // groups, row.kernel_size, row.kernel_size)
            output = (row.out_channels, rows, columns)
            per_place = isinstance(row, Local)
            weight: tuple[int, ...] = (positions, *filters) if per_place else filters
            bias = output if per_place else output[:1]
            return output, weight, bias if row.has_bias else (), positions * prod(filters)
        case Fc():
            _check_groups(net, row, row.groups, channels, row.out_features)
            weight = (row.out_features, prod(shape) // row.groups)
            return (row.out_features, 1, 1), weight, (row.out_features,) if row.has_bias else (), prod(weight)
        case Pool():
            rows, columns = (pool_extent(n, row.kernel_size, row.stride, row.rounding) for n in (height, width))
            return (channels, rows, columns), (), (), 0
        case AdaptiveAvgPool():
            return (channels, row.output_size, row.output_size), (), (), 0
        case Lrn():
            _check_groups(net, row, row.groups, channels, channels)
            return shape, (), (), 0
        case Sum():
            return (channels // max(1, len(row.inputs)), height, width), (), (), 0
        case Select():
            if not all(0 <= channel < channels for channel in row.channels):
                raise SpecError(f"{net}: row {row.name} selects channels that its {channels} inputs have not")
            return (len(row.channels), height, width), (), (), 0
        case Subsample():
            rows, columns = (subsample_extent(side, row.stride)[0] for side in (height, width))
            return (channels, rows, columns), (), (), 0
        case _:
            return shape, (), (), 0


def _check_groups(net: str, row: Row, groups: int, *channels: int) -> None:
    if uneven := [count for count in channels if count % groups]:
        raise SpecError(f"{net}: row {row.name} cannot split {uneven[0]} channels into {groups} groups")


def _field(row: Row, seen: Field, whole: int) -> Field:
    match row:
        case Conv() | Local() | Pool():
            size = seen.size + (row.kernel_size - 1) * seen.stride
            return Field(min(size, whole), seen.stride * row.stride)
        case SameMapNorm():
            return Field(min(seen.size + (row.size - 1) * seen.stride, whole), seen.stride)
        case ContrastNorm():  # a window of means, each of a window
            return Field(min(seen.size + 2 * (row.size - 1) * seen.stride, whole), seen.stride)
        case Blur():
            return Field(min(seen.size + (row.kernel_size - 1) * seen.stride, whole), seen.stride)
        case Subsample():
            return Field(seen.size, seen.stride * row.stride)
        case Fc() | AdaptiveAvgPool() | Softmax():
            return Field(whole, whole)
        case _:
            return seen


def total_params(spec: Spec) -> int:
    """Weights and biases of the whole net."""
    return sum(row.params for row in measure(spec))


def total_macs(spec: Spec) -> int:
    """Multiply-adds of one image's forward pass; norms, pools and biases are not counted."""
    return sum(row.macs for row in measure(spec))


def total_neurons(spec: Spec) -> int:
    """Outputs of all weighted rows: 659,272 for the 2012 net (the paper's 650,000)."""
    return sum(row.neurons for row in measure(spec))
