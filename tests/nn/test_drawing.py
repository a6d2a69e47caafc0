import pytest
import torch
from torch import nn

from alexnet.nn.drawing import set_draws
from alexnet.nn.layers import TestScaledDropout, TrainScaledDropout
from alexnet.nn.maps import RandomPool2d
from alexnet.spans import Span, spans

IMAGES, CHANNELS = 7, 6
CPU = torch.device("cpu")
DRAWING = {
    "dropout": lambda: TestScaledDropout(0.5),
    "torch's dropout": lambda: TrainScaledDropout(0.5),
    "random pool": lambda: RandomPool2d(2, 2, ceil_mode=False),
}


def drawn(row: nn.Module, x: torch.Tensor, seed: int = 3, images: Span | None = None) -> torch.Tensor:
    set_draws(row, (seed,), images, CPU)
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
        row.outputs = span if dim else None
        part = drawn(row, x.narrow(dim, span.start, span.size), images=None if dim else span)
        torch.testing.assert_close(part, whole.narrow(dim, span.start, span.size), rtol=0, atol=0)
    assert (drawn(DRAWING[name](), x, seed=4) != whole).any()


def test_images_and_outputs_are_cut_at_once() -> None:
    x = torch.ones(IMAGES, CHANNELS)
    whole, row = drawn(TestScaledDropout(0.5), x), TestScaledDropout(0.5)
    row.outputs = spans(CHANNELS, 2)[1]
    assert torch.equal(drawn(row, x[4:, 3:], images=spans(IMAGES, 2)[1]), whole[4:, 3:])


def test_no_image_at_all_draws_too() -> None:
    assert drawn(TestScaledDropout(0.5), torch.ones(0, 4), images=spans(1, 2)[1]).shape == (0, 4)


def test_every_row_of_a_net_draws_for_itself_by_its_name() -> None:
    """Wherever it stands in the net, or in a part of one."""
    span, x = spans(9, 2)[1], torch.ones(4, 300)
    net = nn.ModuleDict({"drop6": TestScaledDropout(0.5), "drop7": TestScaledDropout(0.5)}).train()
    part = nn.ModuleDict({"parts": nn.ModuleDict({"drop7": TestScaledDropout(0.5)})}).train()
    for each in (net, part):
        set_draws(each, (1, 2), span, CPU)
    first, second = net["drop6"](x), net["drop7"](x)
    assert 0.4 < (first != second).float().mean() < 0.6
    assert torch.equal(part["parts"]["drop7"](x), second)
    set_draws(net, (1, 3), None, CPU)
    assert 0.4 < (net["drop7"](x) != second).float().mean() < 0.6


def test_at_test_torch_s_generator_is_asked_again() -> None:
    row, x = RandomPool2d(2, 2, ceil_mode=False), maps(torch.contiguous_format)
    set_draws(row, (1,), spans(9, 2)[1], CPU)
    row.eval()
    torch.manual_seed(4)
    found = row(x)
    assert (row(x) != found).any()
    torch.manual_seed(4)
    assert torch.equal(row(x), found)


def test_without_a_seed_torch_s_generator_is_asked() -> None:
    row, x = TestScaledDropout(0.3).train(), torch.ones(5, 20)
    torch.manual_seed(4)
    found = row(x)
    torch.manual_seed(4)
    assert torch.equal(found, (torch.rand(5, 20) < 0.7).float())


@pytest.fixture(scope="module")
def many() -> torch.Tensor:
    """Numbers of 1,000 images and 4,096 units."""
    row = TestScaledDropout(0.5)
    set_draws(row, (0, 1), None, CPU)
    return row.uniform((1000, 4096), CPU).double()


def test_numbers_are_even(many: torch.Tensor) -> None:
    """In 4,096 bins the sum of squares stays within five deviations of what chance gives."""
    counts = many.flatten().histc(4096, 0, 1)
    expected = many.numel() / 4096
    excess = ((counts - expected) ** 2 / expected).sum() - 4095
    assert abs(excess) < 5 * (2 * 4095) ** 0.5
    assert 0 <= many.min() < many.max() < 1
    assert torch.equal(many * 2**24, (many * 2**24).round())


@pytest.mark.parametrize("dim", [0, 1], ids=["images", "units"])
def test_numbers_of_images_and_of_units_are_independent(many: torch.Tensor, dim: int) -> None:
    """Means scatter as those of independent numbers do, and neighbours have nothing in common."""
    size, deviation = many.shape[dim], 12**-0.5
    means = (many.mean(dim) - 0.5) / (deviation / size**0.5)
    assert means.square().mean() == pytest.approx(1, abs=5 * (2 / len(means)) ** 0.5)
    for distance in (1, 2, 64):
        one, other = many.narrow(dim, 0, size - distance), many.narrow(dim, distance, size - distance)
        correlation = ((one - 0.5) * (other - 0.5)).mean() / deviation**2
        assert abs(correlation) < 5 / one.numel() ** 0.5


def test_steps_that_follow_each_other_have_nothing_in_common() -> None:
    row, kept = TestScaledDropout(0.5), []
    for step in range(20):
        set_draws(row, (0, step), None, CPU)
        kept.append(row.uniform((100, 1000), CPU).flatten() < 0.5)
    agreement = torch.corrcoef(torch.stack(kept).double()) - torch.eye(20)
    assert agreement.abs().max() < 5 / 100_000**0.5


@pytest.mark.parametrize("name", DRAWING)
def test_a_traced_row_draws_as_one_that_is_written_does(name: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    row, x = DRAWING[name](), maps(torch.contiguous_format)
    traced = torch.compile(row, backend="aot_eager", fullgraph=True, dynamic=False)
    for step in range(3):
        set_draws(row, (step,), spans(9, 2)[0]._replace(size=IMAGES), CPU)
        torch.testing.assert_close(traced(x), row(x), rtol=0, atol=0)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
