"""A Spec becomes a deploy .prototxt: one layer a row, or a few.

What Caffe has no layer for is written in those that it has, exactly: the dropout of 2012, which multiplies at test, is
Caffe's and a factor after it; a norm whose windows stop between groups is one for each part. What it cannot do is
refused by row.

Source: BVLC/caffe, src/caffe/proto/caffe.proto; the facts of each layer beside its reader in `rows.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from alexnet.arch.rows import (
    AdaptiveAvgPool,
    AvgPool,
    Concat,
    Conv,
    Dropout,
    Fc,
    Logistic,
    Lrn,
    MaxPool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
    Sum,
    Tanh,
)
from alexnet.arch.shapes import RowShape, conv_extent, measure
from alexnet.arch.spec import IMAGE, Spec
from alexnet.errors import InputError
from alexnet.interop.caffe.schema import net_message
from alexnet.preprocess import Preprocessing

DATA = "data"  # what Caffe's own nets call what they are fed


@dataclass(frozen=True)
class WrittenLayer:
    """A layer to be written. `settings` by key, as the schema has them."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_prototxt(spec: Spec, preprocessing: Preprocessing, *, mean_file: str = "mean.binaryproto") -> str:
    """The deploy file of a net, in the present syntax. mean_file: the name of the file of its mean image.

    Raises:
        InputError: a row that Caffe cannot compute, or images that it cannot take; names the row.
        MissingExtraError: the protobuf library is not installed.
    """
    net = net_message()(name=spec.name)
    from google.protobuf import text_format

    said = images_to_settings(preprocessing, mean_file)
    shape = {"shape": [{"dim": [1, *spec.input]}]}
    for layer in (
        WrittenLayer(DATA, "Input", (), (DATA,), {"input_param": shape, **said}),
        *caffe_layers(spec),
    ):
        net.layer.add(name=layer.name, type=layer.type, bottom=layer.bottoms, top=layer.tops, **layer.settings)
    return "".join(f"# {line}\n" for line in _about(spec, preprocessing)) + str(text_format.MessageToString(net))


def images_to_settings(preprocessing: Preprocessing, mean_file: str) -> dict[str, dict[str, Any]]:
    """The settings of an Input layer that say what `preprocessing` does; `mean_file`: of its mean image.

    Raises:
        InputError: red first, or divided by deviations, for which Caffe has no words.
    """
    if preprocessing.channel_order != "BGR" or preprocessing.std != (1.0, 1.0, 1.0):
        raise InputError("Caffe takes images blue first and divides them by nothing; let conv1 have what they lack")
    scale, resize = preprocessing.scale, preprocessing.resize
    transform: dict[str, Any] = {} if scale == 1.0 else {"scale": scale}
    if preprocessing.mean_image is not None:
        transform["mean_file"] = mean_file
    else:
        transform["mean_value"] = [mean / scale for mean in preprocessing.mean]
    canvas = {"new_height": resize} if isinstance(resize, int) else {"new_height": resize[0], "new_width": resize[1]}
    return {"transform_param": transform, "image_data_param": canvas}


def _about(spec: Spec, preprocessing: Preprocessing) -> Iterator[str]:
    """What people want to know who feed the net by other means."""
    height, width = preprocessing.canvas
    how = "shorter side, then the central square" if isinstance(preprocessing.resize, int) else "warped"
    yield " ".join(f"{spec.name}: {spec.source}".split())
    if preprocessing.reduce_to:
        yield f"Pictures whose shorter side is longer are first reduced to {preprocessing.reduce_to} pixels."
    yield f"Images: {height} x {width} ({how}, {preprocessing.interpolation}), the central {preprocessing.crop} pixels,"
    yield "blue first, 0 to 255, less the mean, times the scale: said in the words of a data layer, for whoever feeds"
    yield "the net. An Input layer does not read them."


def caffe_layers(spec: Spec) -> tuple[WrittenLayer, ...]:
    """The layers of a net, without the one that feeds it.

    Raises:
        InputError: a row that Caffe cannot compute, by name.
    """
    writer = _Writer(spec)
    return tuple(layer for shape in measure(spec) for layer in writer.layers(shape))


class _Writer:
    """One pass over the rows in order, each of which gives a blob of its name."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._taken = {DATA} | {row.name for row in spec.rows}
        self._blobs = {IMAGE: DATA}
        if DATA in spec:
            raise InputError(f"{spec.name}: row {DATA} is called as Caffe's input is; give it another name")

    def layers(self, shape: RowShape) -> Iterator[WrittenLayer]:
        """The layers of one row."""
        row = shape.row
        if type(row) not in _WRITERS:
            self.refuse(row, f"Caffe has no {row.kind}")
        bottoms = tuple(self._blobs.get(name, name) for name in shape.inputs)
        if len(bottoms) > 1 and not isinstance(row, Concat | Sum):
            stacked = self.free(f"{row.name}_inputs")
            yield WrittenLayer(stacked, "Concat", bottoms, (stacked,))
            bottoms = (stacked,)
        yield from _WRITERS[type(row)](self, row, shape, bottoms)

    def plain(
        self, row: Row, kind: str, bottoms: tuple[str, ...], **settings: Mapping[str, Any]
    ) -> Iterator[WrittenLayer]:
        """A row that is one layer."""
        yield WrittenLayer(row.name, kind, bottoms, (row.name,), settings)

    def free(self, wanted: str) -> str:
        """A name that nothing has yet."""
        while wanted in self._taken:
            wanted += "_"
        self._taken.add(wanted)
        return wanted

    def became(self, row: Row, blob: str) -> None:
        """What reads the row reads another blob."""
        self._blobs[row.name] = blob

    def refuse(self, row: Row, why: str) -> NoReturn:
        """Say what cannot be written."""
        raise InputError(f"{self._spec.name} cannot be written for Caffe: row {row.name}: {why}")


_Layers = Iterator[WrittenLayer]


def _conv(writer: _Writer, row: Any, shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    for side in shape.input[1:]:
        if conv_extent(side, row.kernel_size, row.stride, row.padding, row.rounding) != conv_extent(
            side, row.kernel_size, row.stride, row.padding, "floor"
        ):
            writer.refuse(row, "it pads the far edges alone (ceil), and Caffe all or none")
    geometry = {"kernel_size": [row.kernel_size]}
    geometry |= {"stride": [row.stride]} if row.stride != 1 else {}
    geometry |= {"pad": [row.padding]} if row.padding else {}
    group = {"group": row.groups} if row.groups > 1 else {}
    said = {"num_output": row.out_channels, **geometry, **group, **_initial(row)}
    yield from writer.plain(row, "Convolution", bottoms, convolution_param=said)


def _fc(writer: _Writer, row: Any, _shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    if row.groups > 1:
        writer.refuse(row, "Caffe has no fully connected layer of groups")
    said = {"num_output": row.out_features, **_initial(row)}
    yield from writer.plain(row, "InnerProduct", bottoms, inner_product_param=said)


def _initial(row: Any) -> dict[str, Any]:
    said: dict[str, Any] = {} if row.has_bias else {"bias_term": False}
    if row.weight_std is not None:
        said["weight_filler"] = {"type": "gaussian", "std": row.weight_std}
    if row.bias_init is not None:
        said["bias_filler"] = {"type": "constant", "value": row.bias_init}
    return said


def _pool(kind: str) -> Callable[[_Writer, Any, RowShape, tuple[str, ...]], _Layers]:
    def write(writer: _Writer, row: Any, shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
        if not row.stride <= row.kernel_size <= min(shape.input[1:]):
            writer.refuse(row, f"windows of {row.kernel_size}, {row.stride} apart, which Caffe counts otherwise")
        said: dict[str, Any] = {"pool": kind, "kernel_size": row.kernel_size, "stride": row.stride}
        if row.rounding == "floor":
            said["round_mode"] = "FLOOR"  # Caffe's of 2019 and later; elsewhere it rounds up
        yield from writer.plain(row, "Pooling", bottoms, pooling_param=said)

    return write


def _adaptive_pool(writer: _Writer, row: Any, shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    """Where its regions are all of one size, windows of that size, side by side."""
    height, width = shape.input[1:]
    size, rest = divmod(height, row.output_size)
    if rest or height != width:
        writer.refuse(row, f"its {row.output_size} regions a side of {height} x {width} pixels are not of one size")
    said = {"pool": "AVE", "kernel_size": size, "stride": size}
    yield from writer.plain(row, "Pooling", bottoms, pooling_param=said)


def _lrn(writer: _Writer, row: Any, _shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    _check_odd(writer, row)
    alpha = row.alpha if row.alpha_over_size else row.alpha * row.size
    said = {"local_size": row.size, "alpha": alpha, "beta": row.beta, "k": row.k}
    if row.groups == 1:
        yield from writer.plain(row, "LRN", bottoms, lrn_param=said)
        return
    parts = tuple(writer.free(f"{row.name}_{number}_of") for number in range(1, row.groups + 1))
    norms = tuple(writer.free(f"{row.name}_{number}") for number in range(1, row.groups + 1))
    yield WrittenLayer(writer.free(f"{row.name}_parts"), "Slice", bottoms, parts)
    for part, norm in zip(parts, norms, strict=True):
        yield WrittenLayer(norm, "LRN", (part,), (norm,), {"lrn_param": said})
    yield from writer.plain(row, "Concat", norms)


def _same_map_norm(writer: _Writer, row: Any, _shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    _check_odd(writer, row)
    said = {"local_size": row.size, "alpha": row.alpha, "beta": row.beta, "norm_region": "WITHIN_CHANNEL"}
    yield from writer.plain(row, "LRN", bottoms, lrn_param=said)


def _check_odd(writer: _Writer, row: Any) -> None:
    if row.size % 2 == 0:
        writer.refuse(row, f"Caffe's windows are odd, and its are {row.size}")


def _dropout(writer: _Writer, row: Any, _shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    yield from writer.plain(row, "Dropout", bottoms, dropout_param={"dropout_ratio": row.rate})
    if row.scale_at == "test":
        scaled = writer.free(f"{row.name}_scale")
        yield WrittenLayer(scaled, "Power", (row.name,), (scaled,), {"power_param": {"scale": 1 - row.rate}})
        writer.became(row, scaled)


def _sum(writer: _Writer, row: Any, _shape: RowShape, bottoms: tuple[str, ...]) -> _Layers:
    if len(bottoms) == 1:
        scale = row.coefficients[0] if row.coefficients else 1.0
        yield from writer.plain(row, "Power", bottoms, power_param={"scale": scale})
        return
    said = {"operation": "SUM", "coeff": list(row.coefficients)}
    yield from writer.plain(row, "Eltwise", bottoms, eltwise_param=said)


def _no_settings(kind: str) -> Callable[[_Writer, Any, RowShape, tuple[str, ...]], _Layers]:
    return lambda writer, row, _shape, bottoms: writer.plain(row, kind, bottoms)


_WRITERS: Mapping[type[Row], Callable[[_Writer, Any, RowShape, tuple[str, ...]], _Layers]] = {
    Conv: _conv,
    Fc: _fc,
    MaxPool: _pool("MAX"),
    AvgPool: _pool("AVE"),
    AdaptiveAvgPool: _adaptive_pool,
    Lrn: _lrn,
    SameMapNorm: _same_map_norm,
    Relu: _no_settings("ReLU"),
    Tanh: _no_settings("TanH"),
    Logistic: _no_settings("Sigmoid"),
    Concat: _no_settings("Concat"),
    Sum: _sum,
    Dropout: _dropout,
    Softmax: _no_settings("Softmax"),
}
