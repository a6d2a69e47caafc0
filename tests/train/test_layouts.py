"""A net over devices and processes computes what it does in one: logits, gradients, steps, and what is saved."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.train.processes import run_ranks
from tests.train.side_by_side import COMPARISONS, CPU, STEPS, Comparison, batch_of, largest, trainer_of

from alexnet.arch import find
from alexnet.errors import InputError, SpecError
from alexnet.nn import InputLayer, build
from alexnet.preprocess import Preprocessing
from alexnet.recipes import find_recipe
from alexnet.train.layouts import OneWeirdTrick, Towers, WholeNet, lay_out
from alexnet.train.loop import Trainer
from alexnet.train.ranks import Ranks

EXACT = 1e-12  # rounding of double


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What two processes find, all in one start of them."""
    folder = tmp_path_factory.mktemp("found")
    done = run_ranks(["-m", "tests.train.side_by_side", str(folder), *COMPARISONS])
    assert [each.status for each in done] == [0, 0], done
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in COMPARISONS}


def check(found: dict[str, object]) -> None:
    assert found["moved"] > 1e-4  # type: ignore[operator]
    for what in ("first gradient", "weights", "velocities"):
        assert found[what] <= EXACT, what  # type: ignore[operator]
    assert found["loss"] <= EXACT  # type: ignore[operator]
    assert found["wrong"] is True
    assert found["back and forth"] is True


@pytest.mark.parametrize("name", COMPARISONS)
def test_ten_steps_of_two_processes_are_those_of_one(found: dict[str, dict[str, object]], name: str) -> None:
    """Of nine images, which do not divide; in two steps one of them has none."""
    check(found[name])


@pytest.mark.distributed
def test_ten_steps_of_four_processes_are_those_of_one(tmp_path: Path) -> None:
    names = [name for name in COMPARISONS if not name.startswith("towers")]
    done = run_ranks(["-m", "tests.train.side_by_side", str(tmp_path), *names], 4)
    assert [each.status for each in done] == [0] * 4, done
    for name in names:
        check(json.loads((tmp_path / f"{name}.json").read_text()))


@pytest.mark.distributed
def test_ten_steps_of_two_machines_of_two_are_those_of_one(tmp_path: Path) -> None:
    """Each with its own copy of the fc rows' parts; in two steps one machine has no image."""
    names = [name for name in COMPARISONS if name.startswith("one-weird-trick")]
    done = run_ranks(["-m", "tests.train.side_by_side", str(tmp_path), *names], 4, machines=2)
    assert [each.status for each in done] == [0] * 4, done
    for name in names:
        found = json.loads((tmp_path / f"{name}.json").read_text())
        check(found)
        assert found["parts"] == 2


@pytest.mark.parametrize("name", [name for name in COMPARISONS if name.startswith("towers")])
def test_ten_steps_of_two_devices_of_a_process_are_those_of_one(name: str) -> None:
    what = COMPARISONS[name]
    one, two = trainer_of(what, "data", Ranks()), trainer_of(what, "towers", Ranks(), what.per_pass)
    assert isinstance(two.layout, Towers)
    for step in range(STEPS):
        batch = batch_of(one.layout.spec.input[1], step)
        (loss, wrong), (ours, our_wrong) = one.step(batch, step), two.step(batch, step)
        assert float(ours) == pytest.approx(float(loss), rel=EXACT)
        assert int(wrong) == int(our_wrong)
    assert largest(two.weights(), one.weights()) <= EXACT
    assert largest(two.velocities(), one.velocities()) <= EXACT


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


def test_a_checkpoint_of_another_net_is_refused_by_towers() -> None:
    trainer, other = (trainer_of(Comparison(net, "towers"), "towers", Ranks()) for net in ("dropping", "cifar-towers"))
    with pytest.raises((RuntimeError, KeyError)):
        trainer.load(other.weights(), other.velocities())


def test_one_process_has_the_whole_net() -> None:
    assert type(lay_out("data", build(find("digits"), seed=0), [8], Ranks(), CPU)) is WholeNet


@pytest.mark.parametrize(
    ("parallel", "count", "words"),
    [
        ("towers", 4, "--parallel towers takes two processes, or one, not 4"),
        ("one-weird-trick", 1, "--parallel one-weird-trick takes several processes: torchrun"),
    ],
)
def test_so_many_processes_as_a_way_cannot_use_are_refused(parallel: str, count: int, words: str) -> None:
    group = object() if count > 1 else None
    with pytest.raises(InputError) as refused:
        lay_out(parallel, build(find("digits"), seed=0), [], Ranks(0, count, 0, group), CPU)  # type: ignore[arg-type]
    assert words in str(refused.value)


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
