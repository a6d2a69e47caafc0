"""A net over devices and processes computes what it does in one: logits, gradients, steps, and what is saved."""

import json
from pathlib import Path

import pytest
from tests.train.processes import run_ranks
from tests.train.side_by_side import COMPARISONS, CPU, STEPS, batch_of, largest, trainer_of

from alexnet.arch import find
from alexnet.errors import InputError
from alexnet.nn import build
from alexnet.train.in_parts import Towers
from alexnet.train.layout import WholeNet
from alexnet.train.layouts import lay_out
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
