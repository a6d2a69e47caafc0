"""The one place where a row of a Spec becomes ONNX operations, named after it. No torch.

A row's value has the row's name, what is in between `ROW.WHAT`, and its tensors the keys they have everywhere
(`conv1.weight`). Values are (N, C, H, W) up to the first fc row and (N, features) from there on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.arch.rows import (
    AdaptiveAvgPool,
    Blur,
    Concat,
    ContrastNorm,
    Conv,
    Dropout,
    Fc,
    Local,
    Logistic,
    Lrn,
    MaxPool,
    Mirror,
    Pool,
    RandomPool,
    Relu,
    SameMapNorm,
    Select,
    Softmax,
    Subsample,
    Sum,
    Tanh,
    Weighted,
)
from alexnet.arch.shapes import RowShape, Shape, conv_extent, pool_extent, subsample_extent
from alexnet.errors import SpecError
from alexnet.interop.onnx import Attribute, Node

Array = NDArray[Any]


class Draft:
    """A graph in the making: nodes in order, and their tensors by name.

    `own_lrn`: normalization across maps as ONNX's own operation, or else as a convolution and roots.
    """

    def __init__(self, *, own_lrn: bool = True) -> None:
        self.own_lrn = own_lrn
        self.nodes: list[Node] = []
        self.initializers: dict[str, Array] = {}

    def add(self, op: str, output: str, *inputs: str | float | Array, **attributes: Attribute) -> str:
        """A node named after its one output; numbers and arrays among its inputs become tensors named after it."""
        names = tuple(self._named(each, f"{output}.{index}") for index, each in enumerate(inputs))
        self.nodes.append(Node(op, names, (output,), output, attributes))
        return output

    def split(self, name: str, value: str, parts: int, axis: int) -> list[str]:
        """`value` in equal parts along an axis."""
        outputs = tuple(f"{name}.{index}" for index in range(parts))
        self.nodes.append(Node("Split", (value,), outputs, name, {"axis": axis}))
        return list(outputs)

    def _named(self, value: str | float | Array, name: str) -> str:
        if isinstance(value, str):
            return value
        self.initializers[name] = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        return name


def draw_row(draft: Draft, shape: RowShape, x: str) -> None:
    """Add the nodes of one measured row that reads the value `x`. Its own tensors are taken to be there.

    Raises:
        SpecError: there is no ONNX for rows of its kind.
    """
    match row := shape.row:
        case Conv():
            draft.add("Conv", row.name, x, *_parameters(row), **_window(row, shape.input), group=row.groups)
        case Local():
            _draw_local(draft, row, shape, x)
        case Fc():
            _draw_fc(draft, row, x)
        case Lrn():
            _draw_lrn(draft, row, shape, x)
        case SameMapNorm():
            _draw_same_map_norm(draft, row, x)
        case ContrastNorm():
            _draw_contrast_norm(draft, row, x)
        case RandomPool():
            raise SpecError(f"row {row.name} draws units at random, which no other program repeats; no ONNX for it")
        case Pool():
            draft.add(
                "MaxPool" if isinstance(row, MaxPool) else "AveragePool", row.name, x, **_window(row, shape.input)
            )
        case AdaptiveAvgPool():
            _draw_adaptive_pool(draft, row, shape, x)
        case Relu():
            draft.add("Relu", row.name, x)
        case Tanh():
            draft.add("Tanh", row.name, x)
        case Logistic():
            draft.add("Sigmoid", row.name, x)
        case Concat():
            draft.add("Identity", row.name, x)
        case Sum():
            _draw_sum(draft, row, shape, x)
        case Select():
            draft.add("Gather", row.name, x, np.array(row.channels), axis=1)
        case Blur():
            _draw_blur(draft, row, shape, x)
        case Subsample():
            _draw_subsample(draft, row, shape, x)
        case Mirror():
            width = shape.input[2]
            draft.add("Gather", row.name, x, np.arange(width - 1, -1, -1), axis=3)
        case Dropout(scale_at="test"):
            draft.add("Mul", row.name, x, 1 - row.rate)
        case Dropout():
            draft.add("Identity", row.name, x)
        case Softmax():
            draft.add("Softmax", row.name, x, axis=1)
        case _:
            raise SpecError(f"row {row.name}: no ONNX for rows of kind {row.kind}")


def _parameters(row: Weighted) -> tuple[str, ...]:
    """The names of a row's weights and, where it has them, biases."""
    return (f"{row.name}.weight", f"{row.name}.bias")[: 1 + row.has_bias]


def _window(row: Conv | Local | Pool, shape: Shape) -> dict[str, Attribute]:
    """Kernel, stride and (top, left, bottom, right) edges.

    Windows that end beyond the image are spelled as padding at the far edges, for which pools have no value and
    convolutions zero: the rounding of the 2012 code means the same in every runtime and version then.
    """
    near = 0 if isinstance(row, Pool) else row.padding
    far = []
    for side in shape[1:]:
        if isinstance(row, Pool):
            count = pool_extent(side, row.kernel_size, row.stride, row.rounding)
            far.append(max(0, (count - 1) * row.stride + row.kernel_size - side))
        else:
            far.append(conv_extent(side, row.kernel_size, row.stride, near, row.rounding)[1])
    return {
        "kernel_shape": (row.kernel_size, row.kernel_size),
        "strides": (row.stride, row.stride),
        "pads": (near, near, *far),
    }


def _draw_lrn(draft: Draft, row: Lrn, shape: RowShape, x: str) -> None:
    """ONNX's LRN, one for each group of maps. Windows of even size, which it has not, are always a convolution."""
    if row.size % 2 == 0 or not draft.own_lrn:
        per_term = row.alpha / row.size if row.alpha_over_size else row.alpha
        band = np.tile(per_term * window_band(shape.input[0] // row.groups, row.size), (row.groups, 1))
        bias = np.full(shape.input[0], row.k, np.float32)
        squares = draft.add("Mul", f"{row.name}.squares", x, x)
        base = draft.add("Conv", f"{row.name}.base", squares, band[:, :, None, None], bias, group=row.groups)
        _draw_division(draft, row.name, x, base, row.beta)
        return
    alpha = row.alpha if row.alpha_over_size else row.alpha * row.size  # ONNX divides it by the size
    settings: dict[str, Attribute] = {"size": row.size, "alpha": alpha, "beta": row.beta, "bias": row.k}
    if row.groups == 1:
        draft.add("LRN", row.name, x, **settings)
        return
    towers = draft.split(f"{row.name}.towers", x, row.groups, axis=1)
    normalized = [draft.add("LRN", f"{row.name}.{index}", tower, **settings) for index, tower in enumerate(towers)]
    draft.add("Concat", row.name, *normalized, axis=1)


def window_band(channels: int, size: int) -> NDArray[np.float32]:
    """(channels, channels) of 0 and 1: row f, column j is 1 where map j lies in the window of map f."""
    offset = np.arange(channels)[None, :] - np.arange(channels)[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).astype(np.float32)


def _draw_same_map_norm(draft: Draft, row: SameMapNorm, x: str) -> None:
    squares = draft.add("Mul", f"{row.name}.squares", x, x)
    edges = (row.size // 2,) * 2 + ((row.size - 1) // 2,) * 2
    window: dict[str, Attribute] = {"kernel_shape": (row.size, row.size), "pads": edges, "count_include_pad": 1}
    mean = draft.add("AveragePool", f"{row.name}.mean", squares, **window)
    scaled = draft.add("Mul", f"{row.name}.scaled", mean, row.alpha)
    base = draft.add("Add", f"{row.name}.base", scaled, 1.0)
    _draw_division(draft, row.name, x, base, row.beta)


def _draw_contrast_norm(draft: Draft, row: ContrastNorm, x: str) -> None:
    edges = (row.size // 2,) * 2 + ((row.size - 1) // 2,) * 2
    window: dict[str, Attribute] = {"kernel_shape": (row.size, row.size), "pads": edges}
    mean = draft.add("AveragePool", f"{row.name}.local", x, **window)
    contrast = draft.add("Sub", f"{row.name}.contrast", x, mean)
    squares = draft.add("Mul", f"{row.name}.squares", contrast, contrast)
    mean_square = draft.add("AveragePool", f"{row.name}.mean", squares, **window, count_include_pad=1)
    scaled = draft.add("Mul", f"{row.name}.scaled", mean_square, row.alpha)
    base = draft.add("Add", f"{row.name}.base", scaled, 1.0)
    _draw_division(draft, row.name, x, base, row.beta)


def _draw_sum(draft: Draft, row: Sum, shape: RowShape, x: str) -> None:
    parts = draft.split(f"{row.name}.parts", x, len(shape.inputs), axis=1) if len(shape.inputs) > 1 else [x]
    weights = row.coefficients or (1.0,) * len(parts)
    terms = [
        part if by == 1 else draft.add("Mul", f"{row.name}.term{index}", part, by)
        for index, (by, part) in enumerate(zip(weights, parts, strict=True))
    ]
    draft.add("Sum", row.name, *terms)


def _draw_blur(draft: Draft, row: Blur, shape: RowShape, x: str) -> None:
    """Two convolutions, one along each side."""
    channels, near, far = shape.input[0], row.kernel_size // 2, (row.kernel_size - 1) // 2
    distance = np.arange(row.kernel_size) - (row.kernel_size - 1) / 2
    taps = np.exp(-(distance**2) / (2 * row.std**2))
    column = np.tile((taps / taps.sum()).astype(np.float32), (channels, 1))[:, None, :, None]
    down = draft.add(
        "Conv", f"{row.name}.down", x, column, kernel_shape=(row.kernel_size, 1), pads=(near, 0, far, 0), group=channels
    )
    draft.add(
        "Conv",
        row.name,
        down,
        column.transpose(0, 1, 3, 2),
        kernel_shape=(1, row.kernel_size),
        pads=(0, near, 0, far),
        group=channels,
    )


def _draw_subsample(draft: Draft, row: Subsample, shape: RowShape, x: str) -> None:
    sides = shape.input[1:]
    starts = [subsample_extent(side, row.stride)[1] for side in sides]
    draft.add("Slice", row.name, x, *(np.array(each) for each in (starts, sides, (2, 3), (row.stride, row.stride))))


def _draw_division(draft: Draft, name: str, x: str, base: str, beta: float) -> None:
    """x / base^beta as the value `name`; the 0.75 of every known net as two roots, which are much faster."""
    if beta == 0.75:
        root = draft.add("Sqrt", f"{name}.root", base)
        divisor = draft.add("Mul", f"{name}.divisor", root, draft.add("Sqrt", f"{name}.fourth_root", root))
    else:
        divisor = draft.add("Pow", f"{name}.divisor", base, beta)
    draft.add("Div", name, x, divisor)


def _draw_fc(draft: Draft, row: Fc, x: str) -> None:
    flat = draft.add("Flatten", f"{row.name}.flat", x, axis=1)
    parameters = _parameters(row)
    if row.groups == 1:
        draft.add("Gemm", row.name, flat, *parameters, transB=1)
        return
    blocks = zip(
        draft.split(f"{row.name}.inputs", flat, row.groups, axis=1),
        *(draft.split(f"{name}s", name, row.groups, axis=0) for name in parameters),
        strict=True,
    )
    products = [draft.add("Gemm", f"{row.name}.{i}", *block, transB=1) for i, block in enumerate(blocks)]
    draft.add("Concat", row.name, *products, axis=1)


def _draw_local(draft: Draft, row: Local, shape: RowShape, x: str) -> None:
    """Patches by a convolution with one-hot filters, each multiplied by the filters of its own position."""
    channels, patch = shape.input[0], shape.input[0] * row.kernel_size**2
    positions, out_channels = shape.weight[:2]
    one_hot = np.tile(np.eye(row.kernel_size**2, dtype=np.float32), (channels, 1))
    pick = one_hot.reshape(patch, 1, row.kernel_size, row.kernel_size)
    patches = draft.add("Conv", f"{row.name}.patches", x, pick, **_window(row, shape.input), group=channels)
    columns = draft.add("Reshape", f"{row.name}.columns", patches, np.array([0, patch, positions]))
    turned = draft.add("Transpose", f"{row.name}.turned", columns, perm=(2, 1, 0))  # (positions, patch, N)
    filters = draft.add(
        "Reshape", f"{row.name}.filters", f"{row.name}.weight", np.array([positions, out_channels, patch])
    )
    products = draft.add("MatMul", f"{row.name}.products", filters, turned)  # (positions, out, N)
    back = draft.add("Transpose", f"{row.name}.back", products, perm=(2, 1, 0))
    maps = draft.add("Reshape", f"{row.name}.maps", back, np.array([0, *shape.output]))
    draft.add("Add", row.name, maps, f"{row.name}.bias" if row.has_bias else 0.0)


def _draw_adaptive_pool(draft: Draft, row: AdaptiveAvgPool, shape: RowShape, x: str) -> None:
    """Means over regions of rows, then of columns: each a product with a matrix of shares."""
    height, width = shape.input[1:]
    if (height, width) == shape.output[1:]:
        draft.add("Identity", row.name, x)
        return
    rows = draft.add("MatMul", f"{row.name}.rows", _shares(height, row.output_size), x)
    draft.add("MatMul", row.name, rows, _shares(width, row.output_size).T.copy())


def _shares(size: int, regions: int) -> NDArray[np.float32]:
    """(regions, size): each pixel's share of each region, which is from i n / m to (i + 1) n / m, rounded outwards."""
    matrix = np.zeros((regions, size), np.float32)
    for index in range(regions):
        first, last = index * size // regions, -(-(index + 1) * size // regions)
        matrix[index, first:last] = 1 / (last - first)
    return matrix
