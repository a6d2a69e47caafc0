import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from alexnet.nn.native import kernels, why_not
from alexnet.nn.same_map import SameMapNorm, _in_same_map, square_windows

needs_kernels = pytest.mark.skipif(kernels() is None, reason=f"no kernels here: {why_not()}")


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def patch(x: Tensor, top: int, left: int, size: int) -> Tensor:
    """The part of a window that lies inside the image."""
    return x[:, :, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]


def same_map_norm_by_loops(x: Tensor, size: int, alpha: float, beta: float) -> Tensor:
    out = torch.empty_like(x)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            squares = patch(x, row - size // 2, column - size // 2, size).square().sum((2, 3))
            out[:, :, row, column] = x[:, :, row, column] / (1 + alpha / size**2 * squares) ** beta
    return out


@pytest.mark.parametrize("beta", [0.75, 1.1])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(("height", "width"), [(6, 6), (7, 5), (2, 3), (1, 1)])
def test_same_map_norm_equals_a_loop_over_windows(size, beta, height, width):
    x = randn(2, 3, height, width)
    found = SameMapNorm(size, 0.8, beta)(x)
    torch.testing.assert_close(found, same_map_norm_by_loops(x, size, 0.8, beta), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_same_map_norm_has_the_right_gradient(size):
    assert gradcheck(SameMapNorm(size, 0.8, 0.75), randn(2, 2, 5, 4).requires_grad_())


def test_golden_numbers_of_rnorm():
    x = torch.arange(1, 10, dtype=torch.float64).view(1, 1, 3, 3)
    golden = [[0.055709, 0.067327, 0.117713], [0.088914, 0.071894, 0.105035], [0.159349, 0.119444, 0.164917]]
    found = SameMapNorm(size=3, alpha=9, beta=0.75)(x)
    torch.testing.assert_close(found[0, 0], torch.tensor(golden, dtype=torch.float64), rtol=0, atol=6e-7)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [4, 5])
def test_same_map_norm_keeps_dtype_and_memory_format(size, dtype, memory_format):
    x = torch.randn(2, 8, 6, 5).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    y = SameMapNorm(size, 1e-3, 0.75)(x)
    (grad,) = torch.autograd.grad(y.sum(), x)
    for result in (y, grad):
        assert result.dtype == dtype
        assert result.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("size", [4, 5])
def test_compiled_same_map_norm_equals_the_eager_one(size):
    norm = SameMapNorm(size, 0.8, 0.75)
    x = randn(2, 3, 6, 5).requires_grad_()
    weight = torch.randn_like(x)
    compiled = torch.compile(norm, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), norm(x), rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(f(x), x, weight)[0] for f in (compiled, norm)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


@needs_kernels
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("shape", [(2, 5, 7, 4), (3, 33, 2, 3), (1, 70, 1, 1), (2, 32, 6, 6)])
def test_the_kernel_equals_the_loop_and_its_gradient(shape, size, beta, dtype, bound):
    x = (torch.randn(shape) * 20).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(shape).to(dtype)
    exact = x.detach().double().requires_grad_()
    y, expected = SameMapNorm(size, 0.1, beta)(x), same_map_norm_by_loops(exact, size, 0.1, beta)
    (found,), (wanted,) = torch.autograd.grad(y, x, weight), torch.autograd.grad(expected, exact, weight.double())
    assert (y.double() - expected).abs().max() <= bound * expected.abs().max()
    assert (found.double() - wanted).abs().max() <= bound * wanted.abs().max()


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_the_adjoint_of_a_window_is_one(size):
    a, b = randn(1, 2, 5, 6), randn(1, 2, 5, 6)
    window, adjoint = square_windows(a, size, 0.3)
    torch.testing.assert_close((window(a) * b).sum(), (a * adjoint(b)).sum())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_operator_keeps_what_torch_demands_of_operators(dtype, memory_format):
    x = randn(2, 8, 4, 5).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    torch.library.opcheck(_in_same_map, (x, 5, 1e-3, 0.75, 1.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_window_of_the_whole_image_may_be_of_any_size(dtype):
    x = torch.randn(2, 3, 4, 5, dtype=dtype).contiguous(memory_format=torch.channels_last)
    size = 1 << 20
    expected = x / (1 + (x * x).sum((2, 3), keepdim=True)) ** 0.75
    torch.testing.assert_close(SameMapNorm(size, float(size**2), 0.75)(x), expected)
