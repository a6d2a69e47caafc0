import warnings

import pytest
import torch
from torch import Tensor, nn

from alexnet.nn import LocalResponseNorm
from alexnet.nn.lrn import _across_maps, band_windows, shifted_window, window_band
from alexnet.nn.native import kernels, why_not

needs_kernels = pytest.mark.skipif(kernels() is None, reason=f"no kernels here: {why_not()}")


def lrn_by_loops(
    x: Tensor, size: int, alpha: float, beta: float, k: float, groups: int = 1, alpha_over_size: bool = True
) -> Tensor:
    """The formula, map by map, in float64."""
    x = x.double()
    a = alpha / size if alpha_over_size else alpha
    tower = x.shape[1] // groups
    maps = []
    for f in range(x.shape[1]):
        first = max(f - size // 2, f // tower * tower)
        end = min(f - size // 2 + size, (f // tower + 1) * tower)
        squares = torch.zeros_like(x[:, 0])
        for j in range(first, end):
            squares = squares + x[:, j] ** 2
        maps.append(x[:, f] / (k + a * squares) ** beta)
    return torch.stack(maps, 1)


def images(channels: int = 6, height: int = 3, width: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, channels, height, width, dtype=dtype) * 3


@pytest.mark.parametrize("alpha_over_size", [True, False])
@pytest.mark.parametrize(("channels", "groups"), [(7, 1), (6, 1), (6, 2), (6, 3), (12, 3), (2, 2), (1, 1)])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_lrn_equals_a_loop_over_maps(size, channels, groups, alpha_over_size):
    x = images(channels)
    for beta, k in [(0.75, 2.0), (0.5, 1.0), (1.0, 0.3), (0.0, 1.0)]:
        norm = LocalResponseNorm(size, 0.7, beta, k, groups=groups, alpha_over_size=alpha_over_size)
        expected = lrn_by_loops(x, size, 0.7, beta, k, groups, alpha_over_size)
        torch.testing.assert_close(norm(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_the_handwritten_gradient_equals_finite_differences(size, beta, groups):
    norm = LocalResponseNorm(size, 0.9, beta, 1.5, groups=groups)
    assert torch.autograd.gradcheck(norm, images(6, 2, 3).requires_grad_())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("size", "groups", "alpha_over_size"), [(5, 1, True), (5, 2, True), (4, 3, False)])
def test_the_handwritten_gradient_equals_that_of_the_loop(size, groups, alpha_over_size, memory_format):
    x = images().contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn_like(x)
    settings = size, 0.5, 0.75, 2.0
    norm = LocalResponseNorm(*settings, groups=groups, alpha_over_size=alpha_over_size)
    (ours,) = torch.autograd.grad(norm(x), x, weight)
    (theirs,) = torch.autograd.grad(lrn_by_loops(x, *settings, groups, alpha_over_size), x, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert ours.stride() == x.stride()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("beta", [0.75, 0.4])
def test_lrn_equals_that_of_torch_in_value_and_gradient(size, beta):
    x = images(10).requires_grad_()
    weight = torch.randn_like(x)
    ours = LocalResponseNorm(size, 1e-1, beta, 2.0)(x)
    theirs = nn.LocalResponseNorm(size, 1e-1, beta, 2.0)(x)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, weight)[0] for y in (ours, theirs)))


def test_the_defaults_are_those_of_torch():
    x = images(10) * 100
    torch.testing.assert_close(LocalResponseNorm(5)(x), nn.LocalResponseNorm(5)(x))


# Facts, section 12: cmrnorm of x = 1, -2, 3, -4, 5, -6, 7, -8.
@pytest.mark.parametrize(
    ("size", "min_div", "golden"),
    [
        (5, 2.0, [0.308368, -0.420448, 0.438191, -0.422949, 0.400103, -0.377230, 0.468503, -0.597406]),
        (4, 1.0, [0.544331, -0.647322, 0.602639, -0.538312, 0.483986, -0.440797, 0.406282, -0.520135]),
    ],
)
def test_golden_numbers_of_cmrnorm(size, min_div, golden):
    x = torch.tensor([1, -2, 3, -4, 5, -6, 7, -8], dtype=torch.float64).view(1, 8, 1, 1)
    y = LocalResponseNorm(size, alpha=1.0, beta=0.75, k=min_div)(x)
    torch.testing.assert_close(y.flatten(), torch.tensor(golden, dtype=torch.float64), rtol=0, atol=6e-7)


def test_only_maps_46_to_49_see_across_the_seam_of_the_towers():
    x = images(96)
    settings = {"size": 5, "alpha": 1e-1, "beta": 0.75, "k": 2.0}
    joined, towers = LocalResponseNorm(**settings)(x), LocalResponseNorm(**settings, groups=2)(x)
    differ = (joined - towers).abs().amax((0, 2, 3)) > 1e-9
    assert differ.nonzero().flatten().tolist() == [46, 47, 48, 49]


def test_groups_equal_a_norm_for_each_tower():
    x = images(10)
    norm = LocalResponseNorm(5, 0.5, 0.75, 2.0)
    apart = torch.cat([norm(half) for half in x.chunk(2, 1)], 1)
    torch.testing.assert_close(LocalResponseNorm(5, 0.5, 0.75, 2.0, groups=2)(x), apart, rtol=1e-12, atol=1e-12)


def test_k_is_a_factor_and_another_alpha():
    """LRN(alpha, k) = k^-beta * LRN(alpha / k, 1): k 2 for 1 is mainly a factor of 0.5946."""
    x = images(7)
    whole = LocalResponseNorm(5, 0.3, 0.75, 2.0)(x)
    torch.testing.assert_close(whole, 2**-0.75 * LocalResponseNorm(5, 0.15, 0.75, 1.0)(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [4, 5])
def test_the_formula_of_the_paper_takes_alpha_as_it_stands(size):
    x = images(7)
    plain = LocalResponseNorm(size, 1e-2, 0.75, 2.0, alpha_over_size=False)(x)
    torch.testing.assert_close(plain, LocalResponseNorm(size, size * 1e-2, 0.75, 2.0)(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 4, 7])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_the_band_marks_the_maps_of_each_window(channels, size):
    band = window_band(channels, size)
    for f in range(channels):
        window = [j for j in range(f - size // 2, f - size // 2 + size) if 0 <= j < channels]
        assert band[f].nonzero().flatten().tolist() == window
    assert band.max() <= 1


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 2])
def test_dtype_and_memory_format_are_kept_forward_and_backward(dtype, memory_format, groups):
    x = images(96, 7, 5, dtype).contiguous(memory_format=memory_format).requires_grad_()
    y = LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=groups)(x)
    (grad,) = torch.autograd.grad(y.sum(), x)
    for result in (y, grad):
        assert result.dtype == dtype
        assert result.shape == x.shape
        assert result.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_error_is_at_most_eight_roundings_of_the_dtype(dtype, memory_format):
    """Against the float64 loop on the same numbers; 3 % in bf16, whose roundings are 2^-8.

    Square, filter, sum and base count 0.75 each, the two roots 1.5 and 1, the two products 1 each: 7.5 at the very
    worst. Activations are as large as those of conv1, where the sum of squares weighs more than k.
    """
    x = (images(96, 4, 4, torch.float32) * 100).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn_like(x)
    y, expected = LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2)(x), lrn_by_loops(x, 5, 1e-4, 0.75, 2.0, groups=2)
    bound = 8 * torch.finfo(dtype).eps / 2
    assert ((y.double() - expected) / expected).abs().max() <= bound
    (found,), (exact,) = torch.autograd.grad(y, x, weight), torch.autograd.grad(expected, x, weight.double())
    assert (found.double() - exact).abs().max() <= bound * exact.abs().max()


def test_under_autocast_each_dtype_is_computed_in_itself():
    x = images(96, 5, 5, torch.float32) * 100
    norm = LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2)
    expected, expected_bf16 = norm(x), norm(x.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(norm(x), expected, rtol=0, atol=0)
        torch.testing.assert_close(norm(x.bfloat16()), expected_bf16, rtol=0, atol=0)


def test_a_backward_pass_under_autocast_is_as_exact():
    x = (images(96, 5, 5, torch.float32) * 100).requires_grad_()
    weight = torch.randn_like(x)
    norm = LocalResponseNorm(5, 1e-4, 0.75, 2.0)
    (expected,) = torch.autograd.grad(norm(x), x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad(norm(x), x, weight)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_compiled_lrn_equals_eager_lrn(groups):
    x = images(6).requires_grad_()
    weight = torch.randn_like(x)
    norm = LocalResponseNorm(5, 0.5, 0.75, 2.0, groups=groups)
    compiled = torch.compile(norm, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), norm(x), rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(f(x), x, weight)[0] for f in (compiled, norm)]
    torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)


def test_exported_lrn_equals_eager_lrn():
    norm = LocalResponseNorm(5, 0.5, 0.75, 2.0, groups=2)
    x = images(6, dtype=torch.float32)
    exported = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim("n")},))
    for count in (2, 5):
        x = images(6, dtype=torch.float32).repeat(count, 1, 1, 1)
        torch.testing.assert_close(exported.module()(x), norm(x))


def test_only_the_input_is_kept_for_the_backward_pass():
    kept = []
    x = images().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        LocalResponseNorm(5, 0.5, 0.75, 2.0)(x)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


def test_the_input_is_left_alone():
    x = images().requires_grad_()
    before = x.detach().clone()
    LocalResponseNorm(5, 0.5, 0.75, 2.0)(x).sum().backward()
    assert torch.equal(x, before)


def test_settings_are_printed():
    printed = repr(LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2))
    assert printed == "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=2.0, groups=2)"


# 200 pixels do not divide into the kernel's tiles, and 600 maps are more than one of them holds.
@needs_kernels
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize(("size", "beta"), [(1, 0.75), (2, 0.75), (4, 0.75), (5, 0.75), (5, 0.6), (9, 0.75)])
@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 96, 10, 20), 2), ((3, 6, 5, 7), 3), ((1, 600, 2, 3), 1), ((2, 7, 1, 1), 1)]
)
def test_the_kernel_equals_the_loop_and_its_gradient(shape, groups, size, beta, dtype, bound, memory_format):
    x = (torch.randn(shape) * 20).to(dtype).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(shape).to(dtype)
    exact = x.detach().double().requires_grad_()
    y = LocalResponseNorm(size, 0.1, beta, 2.0, groups=groups)(x)
    expected = lrn_by_loops(exact, size, 0.1, beta, 2.0, groups)
    (found,), (wanted,) = torch.autograd.grad(y, x, weight), torch.autograd.grad(expected, exact, weight.double())
    assert (y.double() - expected).abs().max() <= bound * expected.abs().max()
    assert (found.double() - wanted).abs().max() <= bound * wanted.abs().max()


def test_without_kernels_and_with_them_it_is_the_same_norm(monkeypatch):
    x = (images(96, 4, 4, torch.float32) * 100).requires_grad_()
    norm = LocalResponseNorm(5, 1e-4, 0.75, 2.0, groups=2)
    found = norm(x), torch.autograd.grad(norm(x).square().sum(), x)[0]
    monkeypatch.setattr("alexnet.nn.divisive.kernels_for", lambda _: None)
    plain = norm(x), torch.autograd.grad(norm(x).square().sum(), x)[0]
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-3)


def test_a_k_of_zero_spoils_nothing_but_what_it_must():
    """Between groups there are zeros, whose base would be k: 1 / 0 must not reach the neighbours."""
    x = images(6, 3, 3, torch.float32).contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        y = LocalResponseNorm(3, 1.0, 0.75, 0.0, groups=2)(x)
        torch.testing.assert_close(y.double(), lrn_by_loops(x, 3, 1.0, 0.75, 0.0, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 5), (2, 6, 3, 4), (2, 6, 3, 2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_number_of_dimensions_is_taken_as_torch_takes_it(shape, dtype):
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    y = LocalResponseNorm(3, 0.5, 0.75, 2.0)(x)
    expected = lrn_by_loops(x, 3, 0.5, 0.75, 2.0).to(dtype)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(*(torch.autograd.grad(z.sum(), x)[0] for z in (y, expected)))


@pytest.mark.parametrize("x", [torch.ones(6), torch.ones(2, 5, 3, 3)])
def test_what_has_no_groups_of_maps_is_refused(x):
    with pytest.raises(ValueError, match="a multiple of 2"):
        LocalResponseNorm(3, groups=2)(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_the_operator_keeps_what_torch_demands_of_operators(dtype, memory_format, requires_grad):
    x = images(8, 4, 5, dtype).contiguous(memory_format=memory_format).requires_grad_(requires_grad)
    torch.library.opcheck(_across_maps, (x, 5, 0.1, 0.75, 2.0, 2))


def test_the_gradient_has_a_gradient():
    norm = LocalResponseNorm(4, 0.9, 0.75, 1.5, groups=2)
    assert torch.autograd.gradgradcheck(norm, images(6, 2, 2).requires_grad_())


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
def test_shifted_copies_and_the_band_are_the_same_window(size, groups):
    a, b = images(6), images(6)
    window, adjoint = band_windows(a, size, 0.3, groups)
    torch.testing.assert_close(shifted_window(size, 0.3, groups)(a), window(a), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close((window(a) * b).sum(), (a * adjoint(b)).sum())


@pytest.mark.parametrize("part", [slice(None, None, 2), slice(1, None)])
def test_a_view_is_taken_and_what_comes_out_is_laid_out_like_it(part):
    x = images(6, 5, 8, torch.float32)[..., part].requires_grad_()
    y = LocalResponseNorm(3, 0.5, 0.75, 2.0)(x)
    torch.testing.assert_close(y.double(), lrn_by_loops(x, 3, 0.5, 0.75, 2.0), rtol=1e-5, atol=1e-5)
    assert y.stride() == torch.empty_like(x).stride()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("k", "scale"), [(1e-30, 1e-15), (1.0, 1e15)])
def test_a_base_far_from_one_is_as_exact_and_a_zero_stays_one(k, scale, memory_format):
    x = (images(8, 4, 5, torch.float32).relu() * scale).contiguous(memory_format=memory_format).requires_grad_()
    ours, theirs = (norm(5, 0.5, 0.75, k)(x) for norm in (LocalResponseNorm, nn.LocalResponseNorm))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert torch.autograd.grad(ours.sum(), x)[0].isfinite().all()


@pytest.mark.parametrize("shape", [(2, 6, 3, 4), (2, 1, 3, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [11, 12, 1 << 40])
def test_a_window_of_all_maps_may_be_of_any_size(size, memory_format, shape):
    x = torch.randn(shape).contiguous(memory_format=memory_format)
    expected = x / (2 + 0.1 * (x * x).sum(1, keepdim=True)) ** 0.75
    torch.testing.assert_close(LocalResponseNorm(size, 0.1, 0.75, 2.0, alpha_over_size=False)(x), expected)


@pytest.mark.parametrize("settings", [{"size": 0}, {"size": -1}, {"size": 5, "groups": 0}])
def test_sizes_and_groups_begin_at_one(settings):
    with pytest.raises(ValueError, match="at least 1"):
        LocalResponseNorm(**settings)


@pytest.mark.parametrize("shape", [(0, 20), (0, 20, 3), (0, 20, 3, 3), (0, 20, 3, 3, 2), (2, 0, 3, 3), (2, 20, 0)])
def test_nothing_stays_nothing_as_with_torch(shape):
    x = torch.zeros(shape, requires_grad=True)
    y = LocalResponseNorm(5)(x)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == shape


def test_whole_numbers_become_floats_as_with_torch():
    x, norm = torch.randint(0, 9, (2, 6, 3, 3)), LocalResponseNorm(3)
    assert norm(x).dtype == nn.LocalResponseNorm(3)(x).dtype
    torch.testing.assert_close(norm(x), norm(x.float()))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_traced_norm_equals_it(groups):
    norm, x = LocalResponseNorm(5, groups=groups), torch.randn(2, 6, 5, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated; still how many people write ONNX files
        traced = torch.jit.trace(norm, (x,))
    assert "alexnet::" not in str(traced.inlined_graph)
    other = torch.randn(3, 6, 4, 7)
    torch.testing.assert_close(traced(other), norm(other))
