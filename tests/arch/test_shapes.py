from dataclasses import replace

import pytest

from alexnet.arch import NETS, find
from alexnet.arch.rows import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Fc,
    Local,
    Lrn,
    MaxPool,
    Pool,
    Relu,
    Row,
    SameMapNorm,
    Softmax,
)
from alexnet.arch.shapes import (
    conv_extent,
    measure,
    pool_extent,
    total_macs,
    total_neurons,
    total_params,
)
from alexnet.arch.spec import Spec
from alexnet.errors import SpecError


def spec_of(*rows: Row, size: int = 16) -> Spec:
    return Spec(name="test", source="this file", input=(3, size, size), rows=(*rows, Fc("fc", 2), Softmax("prob")))


def placed(size: int, kernel_size: int, stride: int, padding: int, ceil: bool) -> list[range]:
    """The pixels under every filter along one axis, placed one after the other; the far padding is open-ended."""
    filters = [range(-padding, -padding + kernel_size)]
    while True:
        following = range(filters[-1].start + stride, filters[-1].stop + stride)
        end = size + padding
        if filters[-1].stop >= end if ceil else following.stop > end:
            return filters
        filters.append(following)


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5, 11])
def test_conv_sizes_equal_filters_placed_one_by_one(kernel_size, stride, padding, rounding):
    for size in range(kernel_size, 40):
        filters = placed(size, kernel_size, stride, padding, rounding == "ceil")
        beyond = max(0, filters[-1].stop - size)
        assert conv_extent(size, kernel_size, stride, padding, rounding) == (len(filters), beyond)


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "padding", "count", "far"),
    [
        (224, 11, 4, 0, 55, 3),
        (225, 11, 4, 0, 55, 2),
        (226, 11, 4, 0, 55, 1),
        (227, 11, 4, 0, 55, 0),
        (228, 11, 4, 0, 56, 3),
        (222, 11, 4, 0, 54, 1),
        (27, 5, 1, 2, 27, 2),
        (13, 3, 1, 1, 13, 1),
        (56, 5, 2, 0, 27, 1),
        (28, 5, 1, 1, 26, 1),
    ],
)
def test_conv_sizes_of_2012(size, kernel_size, stride, padding, count, far):
    assert conv_extent(size, kernel_size, stride, padding, "ceil") == (count, far)


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "ceil", "floor"),
    [
        (55, 3, 2, 27, 27),
        (27, 3, 2, 13, 13),
        (13, 3, 2, 6, 6),
        (32, 3, 2, 16, 15),
        (16, 3, 2, 8, 7),
        (8, 3, 2, 4, 3),
        (24, 3, 2, 12, 11),
        (6, 3, 2, 3, 2),
        (55, 2, 2, 28, 27),
        (11, 2, 2, 6, 5),
        (2, 3, 2, 1, 0),
        (5, 1, 3, 2, 2),
        (4, 1, 3, 2, 2),
        (4, 1, 5, 1, 1),  # the rule alone gives 2, but the second window would begin outside the image
    ],
)
def test_pool_sizes(size, kernel_size, stride, ceil, floor):
    assert pool_extent(size, kernel_size, stride, "ceil") == ceil
    assert pool_extent(size, kernel_size, stride, "floor") == floor


# Facts, section 1.1: row, output, weights, biases, multiply-adds, neurons.
TABLE_145 = [
    ("conv1", (96, 55, 55), 34_848, 96, 105_415_200, 290_400),
    ("conv2", (256, 27, 27), 307_200, 256, 223_948_800, 186_624),
    ("conv3", (384, 13, 13), 884_736, 384, 149_520_384, 64_896),
    ("conv4", (384, 13, 13), 663_552, 384, 112_140_288, 64_896),
    ("conv5", (256, 13, 13), 442_368, 256, 74_760_192, 43_264),
    ("fc6", (4096, 1, 1), 37_748_736, 4096, 37_748_736, 4096),
    ("fc7", (4096, 1, 1), 16_777_216, 4096, 16_777_216, 4096),
    ("fc8", (1000, 1, 1), 4_096_000, 1000, 4_096_000, 1000),
]


@pytest.mark.parametrize("net", ["krizhevsky-145", "paper-2012", "caffe", "caffenet"])
def test_every_weighted_row_has_the_published_size_and_cost(net):
    rows = [row for row in measure(find(net)) if row.weight]
    found = [(r.row.name, r.output, r.params - r.bias[0], r.bias[0], r.macs, r.neurons) for r in rows]
    assert found == TABLE_145


@pytest.mark.parametrize("net", ["krizhevsky-145", "paper-2012", "caffe", "caffenet"])
def test_pooled_sizes_are_the_published_ones(net):
    pools = [row.output for row in measure(find(net)) if isinstance(row.row, Pool)]
    assert pools == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_rows_without_weights_cost_nothing_but_memory(net):
    for row in measure(net):
        if not row.weight:
            assert (row.params, row.macs, row.neurons) == (0, 0, 0)
        assert row.activation_bytes == 4 * row.output[0] * row.output[1] * row.output[2]


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_every_row_takes_what_the_row_above_gives(net):
    outputs = {"image": net.input}
    for row in measure(net):
        assert row.input == outputs[row.inputs[0]]
        outputs[row.row.name] = row.output
    assert outputs["prob"] == (net.num_classes, 1, 1)


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_totals_are_sums_over_rows(net):
    rows = measure(net)
    assert total_params(net) == sum(row.params for row in rows)
    assert total_macs(net) == sum(row.macs for row in rows)
    assert total_neurons(net) == sum(row.neurons for row in rows)


def macs_by_counting(row: Conv | Local | Fc, shape: tuple[int, int, int], out: tuple[int, int, int]) -> int:
    """One by one: every output, every input channel that its group sees, every pixel under the filter."""
    count = 0
    groups = getattr(row, "groups", 1)
    area = shape[1] * shape[2] if isinstance(row, Fc) else row.kernel_size**2
    for unit in range(out[0]):
        for channel in range(shape[0]):
            if unit * groups // out[0] == channel * groups // shape[0]:
                count += out[1] * out[2] * area
    return count


@pytest.mark.parametrize(
    "row",
    [
        Conv("row", 6, 3, padding=1),
        Conv("row", 6, 4, stride=3, groups=3, rounding="ceil"),
        Local("row", 5, 3, stride=2),
        Fc("row", 6),
        Fc("row", 6, groups=3),
    ],
)
def test_multiply_adds_equal_a_count_over_units_and_channels(row):
    (measured, *_) = measure(spec_of(row, size=7))
    assert measured.macs == macs_by_counting(row, measured.input, measured.output)


def test_unshared_weights_are_counted_at_every_position():
    (local, *_) = measure(spec_of(Local("local1", 4, 3), size=5))
    assert local.weight == (9, 4, 3, 3, 3)
    assert local.bias == (4, 3, 3)
    assert local.params == 9 * 4 * 27 + 36
    assert local.macs == 9 * 4 * 27


# By hand, for conv, pool, conv, pool, conv, conv, conv: size += (kernel - 1) * stride so far.
FIELDS = {
    "conv1": (11, 4),
    "pool1": (19, 8),
    "conv2": (51, 8),
    "pool2": (67, 16),
    "conv3": (99, 16),
    "conv4": (131, 16),
    "conv5": (163, 16),
    "pool5": (195, 32),
}


@pytest.mark.parametrize("net", ["paper-2012", "caffe", "caffenet"])
def test_receptive_fields_of_the_five_conv_chain(net):
    found = {row.row.name: (row.field.size, row.field.stride) for row in measure(find(net))}
    assert {name: found[name] for name in FIELDS} == FIELDS
    assert found["relu5"] == FIELDS["conv5"]
    assert found["fc6"] == found["prob"] == (find(net).input[1],) * 2


def test_the_same_map_norm_of_net_145_widens_what_lies_above_it():
    """A window of 5 units that are 8 pixels apart sees 32 pixels more; a unit sees no more than the image."""
    found = {row.row.name: (row.field.size, row.field.stride) for row in measure(find("krizhevsky-145"))}
    assert found["norm2"] == (51, 8)
    assert found["rnorm2"] == (83, 8)
    assert [found[name] for name in ("conv3", "conv4", "conv5")] == [(131, 16), (163, 16), (195, 16)]
    assert found["pool5"] == (224, 32)


def pixels_seen(rows: list[Row], unit: int) -> tuple[int, int]:
    """First and last pixel under one unit of the last row, walked back row by row."""
    first = last = unit
    for row in reversed(rows):
        if isinstance(row, Conv | Local | Pool):
            first = first * row.stride - getattr(row, "padding", 0)
            last = last * row.stride - getattr(row, "padding", 0) + row.kernel_size - 1
        elif isinstance(row, SameMapNorm):
            first, last = first - row.size // 2, last + (row.size - 1) // 2
    return first, last


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_receptive_fields_equal_a_walk_back_to_the_pixels(net):
    """On an image so large that no field is cut off."""
    rows = [row for row in net.rows if not isinstance(row, Fc | Softmax | AdaptiveAvgPool)]
    above = [row.name for row in net.rows].index(next(row.name for row in net.rows if row not in rows))
    for count, row in enumerate(measure(net.with_input(1001))[:above], start=1):
        (first, last), (after, _) = (pixels_seen(rows[:count], unit) for unit in (10, 11))
        assert (row.field.size, row.field.stride) == (last - first + 1, after - first)


@pytest.mark.parametrize("inputs", [("conv1", "conv2"), ("conv2", "conv1")])
def test_a_row_with_several_inputs_sees_their_widest_field(inputs):
    narrow, wide = Conv("conv1", 2, 3, padding=1), Conv("conv2", 2, 7, padding=3, inputs=("image",))
    *_, both, _, _ = measure(spec_of(narrow, wide, Relu("relu2", inputs=inputs)))
    assert both.field.size == 7
    assert both.input == both.output == (4, 16, 16)


@pytest.mark.parametrize(
    ("rows", "row", "word"),
    [
        ((Conv("conv1", 4, 17),), "conv1", "larger images"),
        ((MaxPool("pool1", 4, 2, rounding="floor"), AvgPool("pool2", 9, 2, rounding="floor")), "pool2", "larger"),
        ((Conv("conv1", 4, 3, groups=2),), "conv1", "3 channels into 2 groups"),
        ((Conv("conv1", 5, 3), Lrn("norm1", groups=2)), "norm1", "5 channels into 2 groups"),
        ((Conv("conv1", 4, 3), Fc("fc2", 5, groups=2)), "fc2", "5 channels into 2 groups"),
        (
            (Conv("conv1", 4, 3), Conv("conv2", 4, 5, inputs=("image",)), Relu("both", inputs=("conv1", "conv2"))),
            "both",
            "different sizes",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_name(rows, row, word):
    with pytest.raises(SpecError, match=f"{row}.*{word}"):
        measure(spec_of(*rows))


def test_adaptive_pooling_gives_its_size_whatever_the_image():
    for size in (5, 6, 16):
        assert measure(spec_of(AdaptiveAvgPool("pool", 6), size=size))[0].output == (3, 6, 6)


def test_images_need_not_be_square():
    spec = replace(spec_of(Conv("conv1", 4, 11, stride=4, rounding="ceil"), MaxPool("pool1", 3, 2)), input=(3, 35, 50))
    assert [row.output for row in measure(spec)[:2]] == [(4, 7, 11), (4, 3, 5)]
