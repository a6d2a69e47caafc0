from math import prod

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck

from alexnet.arch.shapes import conv_extent
from alexnet.nn.layers import FarEdgeConv2d, FlatLinear, GroupedLinear, Local2d, TestScaledDropout


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def pixel(x: Tensor, row: int, column: int) -> Tensor:
    """(N, C) of one pixel; zero outside the image."""
    inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
    return x[:, :, row, column] if inside else torch.zeros_like(x[:, :, 0, 0])


def patch(x: Tensor, top: int, left: int, kernel_size: int) -> Tensor:
    """(N, C, k, k) under a filter whose first pixel is (top, left), pixel by pixel."""
    rows = [torch.stack([pixel(x, top + dy, left + dx) for dx in range(kernel_size)], -1) for dy in range(kernel_size)]
    return torch.stack(rows, -2)


def conv_by_loops(
    x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, groups: int, count: int
) -> Tensor:
    """Filter by filter, position by position, as the 2012 kernels go."""
    out = torch.empty(len(x), len(weight), count, count, dtype=x.dtype)
    seen = weight.shape[1]
    for row in range(count):
        for column in range(count):
            under = patch(x, row * stride - padding, column * stride - padding, weight.shape[2])
            for f in range(len(weight)):
                first = f * groups // len(weight) * seen
                out[:, f, row, column] = (under[:, first : first + seen] * weight[f]).sum((1, 2, 3)) + bias[f]
    return out


def far_edge_conv(channels: int, filters: int, size: int, k: int, stride: int, padding: int, groups: int = 1):
    count, far = conv_extent(size, k, stride, padding, "ceil")
    conv = FarEdgeConv2d(channels, filters, k, stride=stride, edges=(padding, far) * 2, groups=groups)
    return conv.double(), count


@pytest.mark.parametrize(
    ("size", "k", "stride", "padding", "groups"),
    [
        (7, 3, 2, 0, 1),
        (8, 3, 2, 0, 1),
        (9, 4, 3, 1, 2),
        (10, 5, 4, 2, 1),
        (6, 1, 4, 0, 2),
        (4, 5, 2, 0, 1),
        (11, 3, 3, 0, 2),
    ],
)
def test_far_edge_conv_equals_filters_placed_one_by_one(size, k, stride, padding, groups):
    conv, count = far_edge_conv(4, 6, size, k, stride, padding, groups)
    x = randn(2, 4, size, size)
    expected = conv_by_loops(x, conv.weight, conv.bias, stride, padding, groups, count)
    torch.testing.assert_close(conv(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [224, 225, 226, 227])
def test_every_crop_from_224_to_227_gives_55_with_zeros_at_the_far_edges(size):
    conv, count = far_edge_conv(3, 2, size, 11, 4, 0)
    x = randn(1, 3, size, size)
    y = conv(x)
    assert count == 55
    assert y.shape == (1, 2, 55, 55)
    for row, column in [(0, 0), (0, 54), (54, 0), (54, 54), (27, 54), (53, 53)]:
        under = patch(x, 4 * row, 4 * column, 11)
        expected = (under * conv.weight).sum((1, 2, 3)) + conv.bias
        torch.testing.assert_close(y[0, :, row, column], expected, rtol=1e-12, atol=1e-12)


def test_a_224_image_equals_a_227_image_with_three_zeros_at_the_far_edges():
    conv, _ = far_edge_conv(3, 4, 224, 11, 4, 0)
    whole, _ = far_edge_conv(3, 4, 227, 11, 4, 0)
    whole.load_state_dict(conv.state_dict())
    small = randn(1, 3, 224, 224)
    large = torch.zeros(1, 3, 227, 227, dtype=torch.float64)
    large[:, :, :224, :224] = small
    torch.testing.assert_close(conv(small), whole(large), rtol=1e-12, atol=1e-12)


def test_far_edge_conv_has_the_right_gradient():
    conv, _ = far_edge_conv(2, 2, 6, 3, 2, 0, 2)
    inputs = (randn(2, 2, 6, 6).requires_grad_(), conv.weight, conv.bias)
    assert gradcheck(lambda x, *_: conv(x), inputs)


def pool_by_loops(x: Tensor, kernel_size: int, stride: int, average: bool) -> Tensor:
    """The 2012 rule: windows from the near edge on until the image is covered, clipped to the image."""
    starts = [0]
    while starts[-1] + kernel_size < x.shape[2]:
        starts.append(starts[-1] + stride)
    rows = []
    for top in starts:
        windows = [x[:, :, top : top + kernel_size, left : left + kernel_size] for left in starts]
        rows.append(torch.stack([w.mean((2, 3)) if average else w.amax((2, 3)) for w in windows], -1))
    return torch.stack(rows, -2)


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 2), (2, 2), (3, 3), (2, 1), (5, 2), (4, 3)])
@pytest.mark.parametrize("size", [5, 6, 7, 8, 13])
def test_ceil_pooling_of_torch_is_that_of_2012(size, kernel_size, stride):
    """`build` relies on it: an average divides by the pixels inside the image."""
    x = randn(2, 3, size, size)
    for average, pool in [(False, nn.MaxPool2d), (True, nn.AvgPool2d)]:
        found = pool(kernel_size, stride, ceil_mode=True)(x)
        torch.testing.assert_close(found, pool_by_loops(x, kernel_size, stride, average), rtol=1e-12, atol=1e-12)


def test_golden_numbers_of_average_pooling():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert nn.AvgPool2d(3, 2, ceil_mode=True)(x).tolist() == [[[[5, 6.5], [11, 12.5]]]]


def local_by_loops(local: Local2d, x: Tensor, stride: int, padding: int) -> Tensor:
    filters, height, width = local.output
    out = torch.empty(len(x), *local.output, dtype=x.dtype)
    for row in range(height):
        for column in range(width):
            under = patch(x, row * stride - padding, column * stride - padding, local.kernel_size)
            for f in range(filters):
                products = under * local.weight[row * width + column, f]
                out[:, f, row, column] = products.sum((1, 2, 3)) + local.bias[f, row, column]
    return out


def local2d(channels: int, filters: int, size: int, k: int, stride: int, padding: int, rounding="floor") -> Local2d:
    count, far = conv_extent(size, k, stride, padding, rounding)
    local = Local2d(channels, (filters, count, count), k, stride=stride, edges=(padding, far) * 2).double()
    nn.init.normal_(local.bias)
    return local


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
@pytest.mark.parametrize(
    ("size", "k", "stride", "padding"), [(5, 3, 1, 1), (6, 3, 2, 0), (7, 2, 3, 1), (4, 4, 1, 0), (5, 1, 2, 0)]
)
def test_local_equals_a_filter_for_every_position(size, k, stride, padding, rounding):
    local = local2d(2, 3, size, k, stride, padding, rounding)
    x = randn(2, 2, size, size)
    torch.testing.assert_close(local(x), local_by_loops(local, x, stride, padding), rtol=1e-12, atol=1e-12)


def test_local_with_equal_filters_everywhere_is_a_convolution():
    local, conv = local2d(3, 4, 6, 3, 1, 1), nn.Conv2d(3, 4, 3, padding=1).double()
    with torch.no_grad():
        local.weight.copy_(conv.weight)
        local.bias.copy_(conv.bias[:, None, None])
    x = randn(2, 3, 6, 6)
    torch.testing.assert_close(local(x), conv(x), rtol=1e-12, atol=1e-12)


def test_local_has_the_right_gradient():
    local = local2d(2, 2, 4, 3, 1, 1)
    assert gradcheck(lambda x, *_: local(x), (randn(2, 2, 4, 4).requires_grad_(), local.weight, local.bias))


def test_local_without_settings_starts_like_a_convolution_of_its_size():
    """PyTorch's rule for the weights: uniform within 1 / sqrt(inputs of one unit)."""
    weight = local2d(4, 64, 6, 5, 1, 2).weight
    assert 0.99 / 10 < weight.abs().max() <= 1 / 10


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("shape", [(12,), (6, 3, 1), (6, 2, 2)])
def test_grouped_linear_equals_a_linear_for_each_block(shape, groups):
    fan_in = prod(shape)
    grouped = GroupedLinear(fan_in, 6, groups).double()
    nn.init.normal_(grouped.bias)
    x = randn(4, *shape)
    blocks = []
    for g, block in enumerate(x.flatten(1).chunk(groups, 1)):
        linear = nn.Linear(fan_in // groups, 6 // groups).double()
        with torch.no_grad():
            linear.weight.copy_(grouped.weight.chunk(groups)[g])
            linear.bias.copy_(grouped.bias.chunk(groups)[g])
        blocks.append(linear(block))
    torch.testing.assert_close(grouped(x), torch.cat(blocks, 1), rtol=1e-12, atol=1e-12)


def test_grouped_linear_has_the_right_gradient():
    grouped = GroupedLinear(8, 6, 2).double()
    inputs = (randn(3, 2, 2, 2).requires_grad_(), grouped.weight, grouped.bias)
    assert gradcheck(lambda x, *_: grouped(x), inputs)


def test_grouped_linear_starts_like_a_linear_of_its_block():
    assert 0.99 / 10 < GroupedLinear(200, 64, 2).weight.abs().max() <= 1 / 10


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layer", [FlatLinear(24, 6), GroupedLinear(24, 6, 2)], ids=["flat", "grouped"])
def test_dense_inputs_are_flattened_as_channel_row_column(layer, memory_format):
    x = torch.randn(3, 4, 2, 3)
    index = torch.stack([x[:, c, row, column] for c in range(4) for row in range(2) for column in range(3)], 1)
    torch.testing.assert_close(layer(x.contiguous(memory_format=memory_format)), layer(index))


@pytest.mark.parametrize("rate", [0.5, 0.2])
def test_at_test_every_unit_is_scaled_and_in_training_none(rate):
    """The 2012 way: the mean over masks in training is what evaluation computes."""
    drop = TestScaledDropout(rate)
    x = torch.rand(40, 50, 5) + 1
    assert torch.equal(drop.eval()(x), x * (1 - rate))
    trained = torch.stack([drop.train()(x) for _ in range(100)])
    assert torch.equal(trained, torch.where(trained == 0, 0, x.expand_as(trained)))
    assert (trained == 0).float().mean() == pytest.approx(rate, abs=1e-3)
    deviation = (trained.mean(0) - drop.eval()(x)) / x
    assert deviation.square().mean().sqrt() == pytest.approx((rate * (1 - rate) / 100) ** 0.5, rel=0.05)


def test_dropped_units_are_drawn_anew_and_apart():
    drop = TestScaledDropout(0.5).train()
    x = torch.ones(200, 50)
    once, again = drop(x), drop(x)
    assert (once == again).float().mean() == pytest.approx(0.5, abs=0.03)
    assert (once[:100] == once[100:]).float().mean() == pytest.approx(0.5, abs=0.03)


def test_the_gradient_goes_through_kept_units_alone():
    drop = TestScaledDropout(0.5).train()
    x = torch.rand(20, 20).add(1).requires_grad_()
    y = drop(x)
    y.sum().backward()
    assert torch.equal(x.grad, (y != 0).float())
    assert 0 < x.grad.sum() < x.numel()


def test_dropout_says_its_rate():
    assert repr(TestScaledDropout(0.3)) == "TestScaledDropout(rate=0.3)"
