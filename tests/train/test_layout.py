"""The whole net on one device; in several processes it is in test_layouts.py."""

import torch
from tests.train.side_by_side import CPU

from alexnet.arch import find
from alexnet.nn import build
from alexnet.train.layout import WholeNet
from alexnet.train.share import Share


def test_nets_for_other_sizes_of_images_are_around_the_same_weights() -> None:
    layout = WholeNet(build(find("digits"), seed=0), CPU, [8])
    assert sorted(layout.nets) == [8, 16]
    one, other = (dict(net.named_parameters()) for net in layout.nets.values())
    assert one.keys() == other.keys()
    assert all(other[name] is parameter for name, parameter in one.items())
    for side in (8, 16):
        assert layout.logits(torch.rand(2, 3, side, side), Share((2,))).shape == (2, 10)


def test_one_device_has_all_of_a_step() -> None:
    layout = WholeNet(build(find("digits"), seed=0), CPU)
    loss, wrong = torch.tensor(0.5), torch.tensor(3)
    tensors = {"conv1.weight": torch.ones(2)}
    assert layout.totals(loss, wrong) == (loss, wrong)
    assert layout.join(tensors) == layout.split(tensors) == layout.sums(tensors) == tensors
    assert layout.devices == (CPU,)
    assert layout.spec.name == "digits"
    assert (layout.divides_images, layout.takes_passes, layout.way) == (False, True, "")
