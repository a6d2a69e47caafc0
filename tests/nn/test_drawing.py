import pytest
import torch
from torch import nn

from alexnet.nn.drawing import kept_state, set_images
from alexnet.nn.layers import TestScaledDropout, TrainScaledDropout
from alexnet.nn.maps import RandomPool2d
from alexnet.spans import spans

IMAGES, CHANNELS = 7, 6
DRAWING = {
    "dropout": lambda: TestScaledDropout(0.5),
    "torch's dropout": lambda: TrainScaledDropout(0.5),
    "random pool": lambda: RandomPool2d(2, 2, ceil_mode=False),
}


def drawn(row: nn.Module, x: torch.Tensor, seed: int = 3) -> torch.Tensor:
    torch.manual_seed(seed)
    return row.train()(x)


def maps(layout: torch.memory_format) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(IMAGES, CHANNELS, 4, 4, generator=generator).to(memory_format=layout)


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "channels last"])
@pytest.mark.parametrize("dim", [0, 1], ids=["images", "outputs"])
def test_parts_draw_what_the_whole_does(name: str, layout: torch.memory_format, dim: int) -> None:
    x = maps(layout)
    whole = drawn(DRAWING[name](), x)
    for span in spans(x.shape[dim], 3):
        row = DRAWING[name]()
        setattr(row, ("images", "outputs")[dim], span)
        part = drawn(row, x.narrow(dim, span.start, span.size))
        torch.testing.assert_close(part, whole.narrow(dim, span.start, span.size), rtol=0, atol=0)
    assert (drawn(DRAWING[name](), x, seed=4) != whole).any()


def test_images_and_outputs_are_cut_at_once() -> None:
    x = torch.ones(IMAGES, CHANNELS)
    whole, row = drawn(TestScaledDropout(0.5), x), TestScaledDropout(0.5)
    row.images, row.outputs = spans(IMAGES, 2)[1], spans(CHANNELS, 2)[1]
    assert torch.equal(drawn(row, x[4:, 3:]), whole[4:, 3:])


def test_no_image_at_all_draws_too() -> None:
    row = TestScaledDropout(0.5)
    row.images = spans(1, 2)[1]
    assert drawn(row, torch.ones(0, 4)).shape == (0, 4)


def test_the_whole_net_is_told_its_images() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Sequential(TestScaledDropout(0.5)), TrainScaledDropout(0.5))
    span = spans(9, 2)[1]
    set_images(net, span)
    assert (net[1][0].images, net[2].images) == (span, span)
    set_images(net, None)
    assert net[2].images is None


def test_the_state_of_the_generator_is_put_back() -> None:
    torch.manual_seed(1)
    with kept_state(torch.device("cpu")):
        first = torch.rand(5)
    assert torch.equal(torch.rand(5), first)
