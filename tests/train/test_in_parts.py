"""What the parts of a net have; what they compute together is in test_layouts.py."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from tests.train.side_by_side import CPU, Comparison, trainer_of

from alexnet.arch import find
from alexnet.errors import InputError, SpecError
from alexnet.nn import InputLayer, build
from alexnet.preprocess import Preprocessing
from alexnet.recipes import find_recipe
from alexnet.train.in_parts import OneWeirdTrick
from alexnet.train.layouts import lay_out
from alexnet.train.loop import Trainer
from alexnet.train.ranks import Ranks


def test_towers_give_the_logits_of_the_net() -> None:
    net = build(find("cifar-towers", num_classes=11, input_size=16), seed=0).double()
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    expected = net.eval()(images)
    towers = lay_out("towers", net, [], Ranks(), CPU)
    torch.testing.assert_close(towers.nets[16].eval()(images), expected, rtol=1e-12, atol=1e-18)


def test_towers_have_half_of_the_weights_each() -> None:
    net = build(find("cifar-towers"), seed=0)
    pieces = dict(lay_out("towers", net, [], Ranks(), CPU).module.named_parameters())
    assert pieces.keys() == {f"parts.{part}.{name}" for part in range(2) for name, _ in net.named_parameters()}
    for name, tensor in net.named_parameters():
        halves = [pieces[f"parts.{part}.{name}"] for part in range(2)]
        assert [len(half) for half in halves] == [len(tensor) // 2] * 2
        assert torch.equal(torch.cat([half.detach() for half in halves]), tensor)


def test_where_nothing_learns_there_is_nothing_to_add() -> None:
    assert trainer_of(Comparison("cifar-towers", "towers"), "towers", Ranks()).layout.sums({}) == {}


def test_a_checkpoint_of_another_net_is_refused_by_towers() -> None:
    trainer, other = (trainer_of(Comparison(net, "towers"), "towers", Ranks()) for net in ("dropping", "cifar-towers"))
    with pytest.raises((RuntimeError, KeyError)):
        trainer.load(other.weights(), other.velocities())


def test_one_weird_trick_takes_a_batch_in_one_pass() -> None:
    layout = trainer_of(Comparison("digits", "data"), "data", Ranks()).layout
    layout.takes_passes = False  # as that one says
    assert not OneWeirdTrick.takes_passes
    for images_per_pass in (None, 9, 8):
        with pytest.raises(InputError, match="in one pass") if images_per_pass == 8 else nullcontext():
            Trainer(
                layout,
                replace(find_recipe("digits"), batch_size=9),
                InputLayer(Preprocessing(resize=16, crop=16)),
                device=CPU,
                dtype=torch.float32,
                seed=0,
                total_steps=1,
                images_per_pass=images_per_pass,
            )


def test_a_net_that_towers_cannot_have_is_refused_by_its_row() -> None:
    with pytest.raises(SpecError, match="digits: row norm1 reads across the 2 parts"):
        lay_out("towers", build(find("digits"), seed=0), [], Ranks(), CPU)
