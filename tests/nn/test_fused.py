"""What CUDA runs outside of a compiled net, compiled here for the CPU: the same formula, the same number of kernels."""

import pytest
import torch
from torch import Tensor

from alexnet.nn import LocalResponseNorm, fused
from alexnet.nn.fused import FirstOf
from alexnet.nn.same_map import SameMapNorm

# torch warns of itself while it compiles, in each version of other things.
compiles = pytest.mark.filterwarnings("default")
FORMATS = (torch.channels_last, torch.contiguous_format)


@pytest.fixture
def fuse_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms take the way of CUDA on the CPU, with the formula as it stands: that needs no compiler."""
    monkeypatch.setattr("alexnet.nn.divisive.kernels_for", lambda _: None)
    monkeypatch.setattr(fused, "is_fused", lambda _: True)
    monkeypatch.setattr(fused, "_compiled", lambda function: function)


def norms() -> dict[str, torch.nn.Module]:
    return {
        "odd": LocalResponseNorm(5, 0.5, 0.75, 2.0, groups=2),
        "even": LocalResponseNorm(4, 0.5, 0.6, 1.0, groups=3),
        "same map": SameMapNorm(3, 0.5, 0.75),
        "same map, even": SameMapNorm(4, 0.5, 0.75),
    }


def images(memory_format: torch.memory_format, dtype: torch.dtype = torch.float64, n: int = 2) -> Tensor:
    return (3 * torch.randn(n, 12, 6, 5, dtype=dtype)).contiguous(memory_format=memory_format).requires_grad_()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("name", norms())
def test_the_fused_formula_equals_the_plain_one_and_its_gradient(name, memory_format, monkeypatch, request):
    norm, x = norms()[name], images(memory_format)
    weight = torch.randn_like(x)
    expected = norm(x), *torch.autograd.grad(norm(x), x, weight)
    request.getfixturevalue("fuse_here")
    monkeypatch.setattr("alexnet.nn.divisive._forward", pytest.fail)
    monkeypatch.setattr("alexnet.nn.divisive._backward", pytest.fail)
    found = norm(x), *torch.autograd.grad(norm(x), x, weight)
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
        assert ours.stride() == x.stride()
    assert torch.autograd.gradcheck(norm, (x,))


@pytest.mark.usefixtures("fuse_here")
def test_a_gradient_laid_out_otherwise_is_taken():
    norm, x = norms()["odd"], images(torch.channels_last)
    weight = torch.randn(x.shape, dtype=x.dtype)
    (found,) = torch.autograd.grad(norm(x), x, weight)
    (expected,) = torch.autograd.grad(norm(x), x, weight.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert found.stride() == x.stride()


# A norm of the 2012 net in its proportions, but small: compiling takes the time, not computing.
@compiles
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 2])
def test_inductor_makes_one_kernel_of_the_norm_and_two_of_its_gradient_for_any_number_of_images(
    groups, dtype, monkeypatch
):
    from torch._inductor import metrics

    torch._dynamo.reset()
    fused._compiled.cache_clear()
    monkeypatch.setattr("alexnet.nn.divisive.kernels_for", lambda _: None)
    monkeypatch.setattr(fused, "is_fused", lambda _: True)
    norm = LocalResponseNorm(5, 0.5, 0.75, 2.0, groups=groups)
    bound = 4 * torch.finfo(dtype).eps
    with torch._inductor.config.patch(force_disable_caches=True):  # a kernel from the cache is not counted
        for number, n in enumerate((4, 3, 7)):
            x = images(torch.channels_last, dtype, n)
            weight = torch.randn_like(x)
            exact = x.detach().double().requires_grad_()
            expected = fused._normalized(exact, _window(groups), 2.0, 0.75)
            metrics.reset()
            y = norm(x)
            assert metrics.generated_kernel_count == (number == 0)
            (found,) = torch.autograd.grad(y, x, weight)
            assert metrics.generated_kernel_count == 3 * (number == 0)
            (wanted,) = torch.autograd.grad(expected, exact, weight.double())
            for ours, twin in ((y, expected), (found, wanted)):
                assert (ours.double() - twin).abs().max() <= bound * twin.abs().max()
                assert ours.stride() == x.stride()


def _window(groups: int):
    from alexnet.nn.lrn import shifted_window

    return shifted_window(5, 0.5 / 5, groups)


def test_small_tensors_other_devices_and_a_turned_off_compiler_take_the_plain_way(monkeypatch):
    monkeypatch.delenv(fused.SWITCH, raising=False)
    assert not fused.is_fused(torch.empty(1).expand(fused.LEAST_NUMBERS))
    on_card = FakeCard(fused.LEAST_NUMBERS)
    assert fused.is_fused(on_card)
    assert not fused.is_fused(FakeCard(fused.LEAST_NUMBERS - 1))
    monkeypatch.setenv(fused.SWITCH, "0")
    assert not fused.is_fused(on_card)


class FakeCard:
    """As much of a tensor on a card as is asked for."""

    device = torch.device("cuda")

    def __init__(self, count: int) -> None:
        self.numel = lambda: count


def test_a_way_that_fails_is_told_once_and_left():
    said, tried = [], []

    def fast(number: int) -> int:
        tried.append(number)
        if number == 2:
            raise RuntimeError("no Triton here\nand a long story")
        return -number

    way = FirstOf(fast, lambda number: number, "the net", said.append)
    assert [way(number) for number in (1, 2, 3)] == [-1, 2, 3]
    assert tried == [1, 2]
    assert said == [
        "the net cannot be compiled and will be slower (no Triton here); ALEXNET_COMPILE=0 says so for good"
    ]


def test_full_memory_is_an_error_of_the_work_and_not_of_the_way():
    def fast() -> None:
        raise torch.OutOfMemoryError("full")

    way = FirstOf(fast, pytest.fail, "the net", pytest.fail)
    with pytest.raises(torch.OutOfMemoryError):
        way()
    assert way.is_fast


def test_an_error_of_the_work_itself_comes_as_it_is():
    way = FirstOf(lambda: [][0], lambda: {}["nothing"], "the net", lambda _: None)
    with pytest.raises(KeyError):
        way()


@compiles
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("name", norms())
def test_on_a_card_the_norms_equal_float64_on_the_cpu(name, memory_format, dtype, monkeypatch):
    monkeypatch.setattr(fused, "LEAST_NUMBERS", 1)
    norm, x = norms()[name], images(memory_format, dtype)
    weight = torch.randn_like(x)
    exact = x.detach().double().requires_grad_()
    expected = norm(exact), *torch.autograd.grad(norm(exact), exact, weight.double())
    on_card = x.detach().cuda().requires_grad_()
    y = norm(on_card)
    found = y, *torch.autograd.grad(y, on_card, weight.cuda())
    for ours, wanted in zip(found, expected, strict=True):
        assert (ours.cpu().double() - wanted).abs().max() <= 8 * torch.finfo(dtype).eps * wanted.abs().max()
        assert ours.stride() == x.stride()
    ways = (fused._normalized, fused._shares, fused._gradient)
    assert all(fused._compiled(way).is_fast for way in ways), "a kernel could not be compiled"
