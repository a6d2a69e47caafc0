import pytest
import torch
from torch import Tensor, nn

from alexnet.nn.native import kernels, why_not
from alexnet.nn.pool import MaxPool2d, _max_pool, pooled_side

pytestmark = pytest.mark.skipif(kernels() is None, reason=f"no kernels here: {why_not()}")

SHAPES = [(2, 5, 9, 11), (1, 33, 8, 7), (3, 16, 4, 4)]


def images(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Few different numbers, so that windows hold equal ones: the first of them is the maximum."""
    return torch.randint(-4, 5, shape).to(dtype).contiguous(memory_format=torch.channels_last)


def is_native(y: Tensor) -> bool:
    return "alexnet_max_pool2d" in str(y.grad_fn)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2), (3, 3), (2, 1), (4, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_maxima_and_gradients_are_those_of_torch(shape, size, stride, ceil_mode, dtype):
    x = images(shape, dtype).requires_grad_()
    y = MaxPool2d(size, stride, ceil_mode=ceil_mode)(x)
    expected = nn.MaxPool2d(size, stride, ceil_mode=ceil_mode)(x)
    assert is_native(y)
    assert torch.equal(y, expected)
    assert y.is_contiguous(memory_format=torch.channels_last)
    weight = torch.randint(-3, 4, y.shape).to(dtype)  # planar: the gradient need not come in the layout of the maxima
    assert torch.equal(*(torch.autograd.grad(pooled, x, weight)[0] for pooled in (y, expected)))


def test_a_number_that_is_none_stays_visible():
    x = images((1, 4, 5, 5), torch.float32)
    x[0, 1, 2, 2] = float("nan")
    pool = MaxPool2d(3, 2, ceil_mode=True)
    torch.testing.assert_close(pool(x), nn.MaxPool2d(3, 2, ceil_mode=True)(x), equal_nan=True)


@pytest.mark.parametrize(
    "x", [torch.ones(1, 2, 5, 5).double(), torch.arange(50.0).view(1, 2, 5, 5), torch.ones(2, 5, 5)]
)
def test_what_the_kernel_is_not_for_goes_to_torch(x):
    x.requires_grad_()
    y = MaxPool2d(3, 2, ceil_mode=True)(x)
    assert not is_native(y)
    assert torch.equal(y, nn.MaxPool2d(3, 2, ceil_mode=True)(x))


def test_windows_that_cover_a_unit_more_than_twice_go_to_torch():
    x = images((1, 8, 9, 9), torch.float32).requires_grad_()
    assert not is_native(MaxPool2d(5, 2, ceil_mode=False)(x))


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_the_number_of_windows_is_that_of_torch(ceil_mode):
    for side in range(4, 30):
        for size, stride in [(3, 2), (2, 2), (3, 3), (2, 1), (4, 3)]:
            expected = nn.MaxPool1d(size, stride, ceil_mode=ceil_mode)(torch.zeros(1, 1, side)).shape[-1]
            assert pooled_side(side, size, stride, ceil_mode) == expected


@pytest.mark.parametrize("wants_places", [True, False])
def test_the_operator_keeps_what_torch_demands_of_operators(wants_places):
    x = images((2, 8, 9, 9), torch.float32).requires_grad_(wants_places)
    torch.library.opcheck(_max_pool, (x, 3, 2, True, wants_places))


def test_a_compiled_pool_equals_an_eager_one_without_a_break():
    x = images((2, 8, 9, 9), torch.float32)
    pool = MaxPool2d(3, 2, ceil_mode=True)
    assert torch.equal(torch.compile(pool, backend="eager", fullgraph=True)(x), pool(x))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2)])
def test_the_gradient_has_a_gradient(size, stride, ceil_mode):
    x = images((2, 5, 7, 6), torch.float32).requires_grad_()
    found = []
    for pool in (MaxPool2d, nn.MaxPool2d):
        (grad,) = torch.autograd.grad(pool(size, stride, ceil_mode=ceil_mode)(x).pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(grad.square().sum(), x)[0])
    assert torch.equal(*found)


def test_an_image_smaller_than_a_window_is_refused_as_torch_does():
    x = images((1, 4, 1, 1), torch.float32)
    with pytest.raises(RuntimeError, match="too small"):
        MaxPool2d(3, 2, ceil_mode=True)(x)
