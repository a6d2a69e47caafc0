"""What the 2012 files do to maps besides convolving, pooling and normalizing them. Golden numbers: computed by hand."""

import pytest
import torch
from torch.nn import functional as F

from alexnet.nn.maps import Blur, Mirror, RandomPool2d, Select, Subsample, Sum
from alexnet.nn.same_map import ContrastNorm

SQUARE = torch.arange(1.0, 10.0).view(1, 1, 3, 3)


def test_golden_numbers_of_contrast_normalization() -> None:
    golden = [[0.220650, 0.393119, 0.970984], [0.673758, 0.625, 1.010636], [2.265628, 1.572476, 1.985851]]
    torch.testing.assert_close(ContrastNorm(3, 9.0, 0.75)(SQUARE)[0, 0], torch.tensor(golden), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "std", "half"),
    [(9, 4.0, [0.081674, 0.101645, 0.118836, 0.130515, 0.134658]), (5, 2.0, [0.152469, 0.221841, 0.251379])],
)
def test_golden_taps_of_the_blur(size: int, std: float, half: list[float]) -> None:
    """A single bright pixel is spread by the taps along both sides."""
    taps = torch.tensor([*half, *half[-2::-1]])
    point = torch.zeros(1, 2, 11, 11)
    point[:, :, 5, 5] = 1
    near = (11 - size) // 2
    wanted = F.pad(taps[:, None] * taps[None, :], (near,) * 4)
    torch.testing.assert_close(Blur(size, std)(point)[0, 1], wanted, rtol=0, atol=1e-6)


def test_a_blurred_border_is_darker_since_there_is_nothing_outside() -> None:
    blurred = Blur(3, 1.0)(torch.ones(1, 1, 5, 5))
    assert blurred[0, 0, 2, 2].item() == pytest.approx(1)
    assert blurred[0, 0, 0, 0] < blurred[0, 0, 0, 2] < 1


@pytest.mark.parametrize(("side", "stride", "kept"), [(224, 4, range(2, 224, 4)), (5, 2, (0, 2, 4)), (6, 4, (1, 5))])
def test_as_many_pixels_are_left_out_at_both_ends(side: int, stride: int, kept: "range | tuple[int, ...]") -> None:
    pixels = torch.arange(float(side)).expand(1, 1, side, side)
    assert Subsample(stride)(pixels)[0, 0, 0].tolist() == list(kept)


def test_channels_are_selected_with_repeats() -> None:
    x = torch.arange(3.0).view(1, 3, 1, 1)
    assert Select((2, 0, 2))(x).flatten().tolist() == [2, 0, 2]
    assert Select((2, 0)).state_dict() == {}


def test_stacked_inputs_are_added_up_with_their_coefficients() -> None:
    x = torch.arange(12.0).view(1, 6, 2, 1)
    assert torch.equal(Sum((1.0, -1.0))(x), x[:, :3] - x[:, 3:])
    assert torch.equal(Sum((0.5,))(x), x / 2)
    assert Sum((1.0,))(x) is not x


def test_a_mirrored_image_is_read_from_the_right() -> None:
    assert Mirror()(SQUARE)[0, 0, 0].tolist() == [3, 2, 1]


def test_units_are_drawn_in_proportion_to_what_they_are_above_zero() -> None:
    window = torch.tensor([[1.0, 3.0], [-5.0, 0.0]]).expand(1, 10_000, 2, 2)
    drawn = RandomPool2d(2, 2, ceil_mode=True)(window).flatten()
    assert set(drawn.tolist()) == {1.0, 3.0}
    assert drawn.mean().item() == pytest.approx((1 * 1 + 3 * 3) / 4, abs=0.05)


def test_a_window_without_anything_above_zero_gives_zero_and_sizes_round_up() -> None:
    pooled = RandomPool2d(3, 2, ceil_mode=True)(-torch.ones(2, 4, 6, 6))
    assert pooled.shape == (2, 4, 3, 3)
    assert not pooled.any()


def test_only_the_unit_that_was_drawn_gets_the_gradient() -> None:
    x = torch.rand(1, 1, 4, 4).requires_grad_()
    RandomPool2d(2, 2, ceil_mode=True)(x).sum().backward()
    assert sorted(x.grad.flatten().tolist()) == [0.0] * 12 + [1.0] * 4
