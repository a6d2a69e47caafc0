"""What each layer of Caffe is here: a row or none, and how its settings read.

Source: BVLC/caffe, src/caffe/layers and src/caffe/filler.hpp; the facts of each beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod, sqrt

from alexnet.arch.rows import (
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Fc,
    Logistic,
    Lrn,
    MaxPool,
    Relu,
    Rounding,
    Row,
    SameMapNorm,
    Select,
    Sum,
    Tanh,
)
from alexnet.interop.caffe.draft import Draft
from alexnet.interop.caffe.layers import Layer, Settings


def _convolution(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    said = layer.settings("convolution_param")
    said.expect("axis", 1, "maps lie along axis 1 here")
    if any(step != 1 for step in said.wholes("dilation")):
        said.refuse("filters with holes have no counterpart here", "dilation")
    groups, size = said.whole("group", least=1), said.square("kernel_size", "kernel_h", "kernel_w", least=1)
    fan_in = draft.shapes[read][0] // groups * size * size
    row = Conv(
        draft.row_name(layer.name),
        said.whole("num_output", least=1),
        size,
        stride=said.square("stride", "stride_h", "stride_w", least=1, default=1),
        padding=said.square("pad", "pad_h", "pad_w", least=0, default=0),
        groups=groups,
        inputs=(read,),
        weight_std=_weight_std(said, fan_in),
        bias_init=_bias_init(said),
        has_bias=said.flag("bias_term"),
    )
    _put_weighted(draft, layer, row)


def _inner_product(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    said = layer.settings("inner_product_param")
    said.expect("axis", 1, "all but the first axis are flattened here")
    said.expect("transpose", False, "weights lie as (outputs, inputs) here")
    row = Fc(
        draft.row_name(layer.name),
        said.whole("num_output", least=1),
        inputs=(read,),
        weight_std=_weight_std(said, prod(draft.shapes[read])),
        bias_init=_bias_init(said),
        has_bias=said.flag("bias_term"),
    )
    _put_weighted(draft, layer, row)


def _put_weighted(draft: Draft, layer: Layer, row: Row) -> None:
    if layer.name in draft.layers:
        layer.refuse("a second layer of this name; whose weights are whose?", "name")
    draft.put(layer, row)
    draft.layers[layer.name] = row.name


# The standard deviation that a filler gives to weights of `fan_in` inputs; xavier's are not normal, ours are.
_FILLERS: Mapping[str, Callable[[Settings, int], float]] = {
    "gaussian": lambda filler, _fan_in: filler.real("std"),
    "xavier": lambda _filler, fan_in: sqrt(1 / fan_in),
    "msra": lambda _filler, fan_in: sqrt(2 / fan_in),
}


def _weight_std(said: Settings, fan_in: int) -> float | None:
    if "weight_filler" not in said:
        return None
    filler = said.inner("weight_filler")
    kind = filler.text("type")
    if kind not in _FILLERS:
        filler.refuse(f"{kind!r} has no counterpart here; known: {', '.join(_FILLERS)}", "type")
    filler.expect("mean", 0.0, "weights begin around 0 here")
    filler.expect("sparse", -1, "weights are all drawn here")
    if filler.choice("variance_norm") != "FAN_IN":
        filler.refuse("the deviation is that for the inputs here (FAN_IN)", "variance_norm")
    std = _FILLERS[kind](filler, max(1, fan_in))
    return std if std >= 0 else filler.refuse(f"{std:g} must be 0 or more", "std")


def _bias_init(said: Settings) -> float | None:
    """Caffe's biases begin as 0 where it is only told how weights do."""
    if "bias_filler" not in said:
        return 0.0 if "weight_filler" in said else None
    filler = said.inner("bias_filler")
    if filler.text("type") != "constant":
        filler.refuse(f"{filler.text('type')!r}: biases begin as one number here (constant)", "type")
    return filler.real("value")


def _pooling(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    said, (_, height, width) = layer.settings("pooling_param"), draft.shapes[read]
    kinds = {"MAX": MaxPool, "AVE": AvgPool}
    if said.choice("pool") not in kinds:
        said.refuse(f"{said.choice('pool')} is none of {', '.join(kinds)}", "pool")
    if said.flag("global_pooling"):
        if height != width:
            said.refuse(f"over {height} x {width}: only squares are read", "global_pooling")
        size = stride = height
    else:
        size = said.square("kernel_size", "kernel_h", "kernel_w", least=1)
        stride = said.square("stride", "stride_h", "stride_w", least=1, default=1)
    if said.square("pad", "pad_h", "pad_w", least=0, default=0):
        said.refuse("windows do not reach over the edge here; only 0 is read", "pad")
    if not stride <= size <= min(height, width):
        said.refuse(f"windows of {size}, {stride} apart, do not cover {height} x {width}", "kernel_size")
    rounding: Rounding = "ceil" if said.choice("round_mode") == "CEIL" else "floor"
    kind = kinds[said.choice("pool")]
    draft.put(layer, kind(draft.row_name(layer.name), size, stride, rounding=rounding, inputs=(read,)))


def _norm(draft: Draft, layer: Layer) -> None:
    """Both kinds divide alpha by the size of their windows, as ours do; that within a channel has no k but 1."""
    read = draft.input_of(layer)
    said = layer.settings("lrn_param")
    size, alpha, beta = said.whole("local_size", least=1), said.real("alpha"), said.real("beta")
    if size % 2 == 0:
        said.refuse(f"{size} is even, which Caffe has not", "local_size")
    name = draft.row_name(layer.name)
    if said.choice("norm_region") == "WITHIN_CHANNEL":
        draft.put(layer, SameMapNorm(name, size=size, alpha=alpha, beta=beta, inputs=(read,)))
    else:
        draft.put(layer, Lrn(name, size=size, alpha=alpha, beta=beta, k=said.real("k"), inputs=(read,)))


def _dropout(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    said = layer.settings("dropout_param")
    rate = said.real("dropout_ratio")
    if not 0 <= rate < 1:
        said.refuse(f"{rate:g} must be from 0 to below 1", "dropout_ratio")
    draft.put(layer, Dropout(draft.row_name(layer.name), rate, scale_at="train", inputs=(read,)))


def _power(draft: Draft, layer: Layer) -> None:
    """A factor. After dropout, that by which 2012 multiplied at test, it makes that of it."""
    read = draft.input_of(layer)
    said = layer.settings("power_param")
    said.expect("power", 1.0, "only factors are read")
    said.expect("shift", 0.0, "only factors are read")
    scale, last = said.real("scale"), draft.rows[-1] if draft.rows else None
    if isinstance(last, Dropout) and last.name == read and scale == 1 - last.rate:
        draft.rows[-1] = replace(last, scale_at="test")
        draft.blobs = {blob: row for blob, row in draft.blobs.items() if row != read}
        draft.blobs[layer.tops[0] if layer.tops else layer.name] = read
    else:
        draft.put(layer, Sum(draft.row_name(layer.name), inputs=(read,), coefficients=(scale,)))


def _eltwise(draft: Draft, layer: Layer) -> None:
    said, inputs = layer.settings("eltwise_param"), draft.inputs_of(layer)
    if said.choice("operation") != "SUM":
        said.refuse(f"{said.choice('operation')} has no counterpart here; SUM has", "operation")
    draft.put(layer, Sum(draft.row_name(layer.name), inputs=inputs, coefficients=said.reals("coeff")))


def _concat(draft: Draft, layer: Layer) -> None:
    said = layer.settings("concat_param")
    said.expect("axis", 1, "only maps are stacked here (1)")
    said.expect("concat_dim", 1, "only maps are stacked here (1)")
    draft.put(layer, Concat(draft.row_name(layer.name), inputs=draft.inputs_of(layer)))


def _slice(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    said, channels, count = layer.settings("slice_param"), draft.shapes[read][0], len(layer.tops)
    said.expect("axis", 1, "only maps are cut apart here (1)")
    said.expect("slice_dim", 1, "only maps are cut apart here (1)")
    points = said.wholes("slice_point") or tuple(channels * part // count for part in range(1, count))
    if channels > _MOST_MAPS:
        layer.refuse(f"cuts {channels:,} maps apart, more than any net has")
    edges = (0, *points, channels)
    if len(edges) != count + 1 or list(edges) != sorted(set(edges)):
        said.refuse(f"{points} do not cut {channels} maps into {count}", "slice_point")
    for top in range(count):
        part = tuple(range(edges[top], edges[top + 1]))
        draft.put(layer, Select(draft.row_name(layer.tops[top]), part, inputs=(read,)), top)


def _alias(draft: Draft, layer: Layer) -> None:
    """Rows flatten what they read where they need to."""
    read = draft.input_of(layer)
    draft.blobs |= dict.fromkeys(layer.tops, read)


def _flatten(draft: Draft, layer: Layer) -> None:
    if "flatten_param" in layer:  # which layers until 2014 have not
        said = layer.settings("flatten_param")
        said.expect("axis", 1, "all but the first axis are flattened here (1)")
        said.expect("end_axis", -1, "all but the first axis are flattened here (-1)")
    _alias(draft, layer)


def _relu(draft: Draft, layer: Layer) -> None:
    read = draft.input_of(layer)
    layer.settings("relu_param").expect("negative_slope", 0.0, "below 0 all is 0 here")
    draft.put(layer, Relu(draft.row_name(layer.name), inputs=(read,)))


def _plain(kind: type[Row]) -> Callable[[Draft, Layer], None]:
    """A layer without settings."""

    def add(draft: Draft, layer: Layer) -> None:
        draft.put(layer, kind(draft.row_name(layer.name), inputs=(draft.input_of(layer),)))

    return add


_MOST_MAPS = 1 << 14  # ours: those of a slice are written down one by one

# By type of layer; each adds what it is to the draft.
ROWS: Mapping[str, Callable[[Draft, Layer], None]] = {
    "Convolution": _convolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "LRN": _norm,
    "ReLU": _relu,
    "TanH": _plain(Tanh),
    "Sigmoid": _plain(Logistic),
    "Dropout": _dropout,
    "Power": _power,
    "Eltwise": _eltwise,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _alias,
    "Flatten": _flatten,
}
