import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from alexnet.nn import LocalResponseNorm
from alexnet.nn.divisive import normalize
from alexnet.nn.pool import MaxPool2d
from alexnet.nn.same_map import SameMapNorm, square_windows
from alexnet.nn.transformed import is_transformed

# torch scripts its own formulas when it first differentiates forward, and warns of scripts.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


def same_map_norm(x: Tensor) -> Tensor:
    return normalize(x, square_windows(x, 3, 0.1)[0], 1.0, 0.75)


PAIRS = {
    "lrn": (LocalResponseNorm(5, 0.5, 0.75, 2.0), nn.LocalResponseNorm(5, 0.5, 0.75, 2.0)),
    "same map": (SameMapNorm(3, 0.9, 0.75), same_map_norm),
    "pool": (MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 2, ceil_mode=True)),
}
every_pair = pytest.mark.parametrize(("ours", "theirs"), PAIRS.values(), ids=PAIRS)


def images() -> Tensor:
    return torch.randn(2, 4, 5, 5).contiguous(memory_format=torch.channels_last)


@every_pair
def test_transforms_give_what_they_give_of_torchs_own(ours, theirs):
    x = images()

    def of(layer):
        def loss(x: Tensor) -> Tensor:
            return layer(x).square().sum()

        one = x[:1]
        return (
            torch.func.grad(loss)(x),
            torch.func.vmap(layer)(x.expand(3, *x.shape)),
            torch.func.vmap(torch.func.grad(lambda image: loss(image[None])))(x),
            torch.func.jacrev(layer)(one),
            *torch.func.jvp(layer, (x,), (x.flip(1),)),
        )

    torch.testing.assert_close(of(ours), of(theirs))


@every_pair
def test_forward_derivatives_are_not_lost(ours, theirs):
    x = images()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, x.flip(1))
        tangents = [forward_ad.unpack_dual(layer(dual)).tangent for layer in (ours, theirs)]
    torch.testing.assert_close(*tangents)


def test_an_ordinary_tensor_is_not_transformed():
    x = images()
    assert not is_transformed(x)
    assert not is_transformed(x.requires_grad_())
