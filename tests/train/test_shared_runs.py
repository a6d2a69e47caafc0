"""Whole runs by torchrun, over four processes, two hosts and whatever may happen to them: `make test-distributed`.

Hosts are network namespaces of this machine, with a cable of their own between them that can be cut.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.processes import Ended, begun, ended, environment, free_port, run_ranks, torchrun

from alexnet.train.checkpoint import load_checkpoint
from alexnet.train.log import read_metrics
from alexnet.train.saver import LAST
from alexnet.weights import find_weights

distributed = pytest.mark.distributed

Command = Callable[..., list[str]]
EPOCHS, STEPS = 2, 10  # of the whole run
CLOSE = 5e-4  # of the largest number of a tensor, after ten steps in float32


@pytest.fixture(scope="module")
def command(photos: Path) -> Command:
    """`alexnet train` of two epochs of five steps, as Python's arguments; `more` disturb it."""

    def command(
        out: Path, *options: str, net: str = "digits", data: Path | str = photos, **disturbed: Any
    ) -> list[str]:
        run = f"train {data} --out {out} --workers 1 --device cpu"
        begins = f"--net {net} --epochs {EPOCHS} --limit-train-batches 5 --batch-size 16 --lr 0.003 --precision fp32"
        words = run if "--resume" in options else f"{run} {begins}"
        return ["-m", "tests.train.disturbed", json.dumps({"every": 2} | disturbed), *words.split(), *options]

    return command


def alone(arguments: list[str]) -> Ended:
    with begun([sys.executable, *arguments], environment()) as process:
        return ended(process)


def by_torchrun(arguments: list[str], count: int = 2, *options: str) -> Ended:
    with begun(torchrun(arguments, count, *options), environment()) as process:
        return ended(process)


@pytest.fixture(scope="module")
def whole(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert alone(command(folder)).status == 0
    return folder


def assert_same_run(ours: Path, theirs: Path) -> None:
    """The same weights, velocities and records, but for rounding."""
    first, second = read_metrics(ours), read_metrics(theirs)
    assert [(each["split"], each["step"]) for each in first] == [(each["split"], each["step"]) for each in second]
    for one, other in zip(first, second, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=CLOSE)
        assert one["top1_error"] == pytest.approx(other["top1_error"], abs=0.02)
    (progress, *tensors), (expected, *others) = load_checkpoint(ours), load_checkpoint(theirs)
    assert (progress.step, progress.epochs) == (expected.step, expected.epochs) == (STEPS, EPOCHS)
    for found, wanted in zip(tensors, others, strict=True):
        for name, tensor in wanted.items():
            assert float((found[name] - tensor).abs().max()) <= CLOSE * float(tensor.abs().max()), name
    weights, named = (find_weights(folder / LAST).tensors for folder in (ours, theirs))
    assert all(np.allclose(weights[name], named[name], atol=CLOSE * np.abs(named[name]).max()) for name in named)


@pytest.fixture(scope="module")
def of_ten_classes(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The run of one process on handwritten digits, of which a fourth process has a part too."""
    return alone(command(tmp_path_factory.mktemp("ten") / "run", "--json", data="digits"))


@distributed
@pytest.mark.parametrize("parallel", ["data", "one-weird-trick"])
def test_four_processes_make_the_run_of_one(
    command: Command, of_ten_classes: Ended, tmp_path: Path, parallel: str
) -> None:
    done = by_torchrun(command(tmp_path / "run", "--parallel", parallel, "--json", data="digits"), 4)
    assert done.status == 0, done.stderr
    ours, theirs = (json.loads(each.stdout) for each in (done, of_ten_classes))
    assert_same_run(tmp_path / "run", Path(theirs["out"]))
    assert ours["evaluation"]["images"] == theirs["evaluation"]["images"] > 100


@distributed
def test_a_killed_process_costs_the_steps_since_the_checkpoint(command: Command, whole: Path, tmp_path: Path) -> None:
    done = by_torchrun(command(tmp_path / "run", kill=[1, 7]), 2, "--max-restarts", "2")
    assert done.status == 0, done.stderr
    assert "at step 6 of 10" in done.stderr or "at step 5 of 10" in done.stderr
    assert_same_run(tmp_path / "run", whole)


@distributed
@pytest.mark.parametrize("parallel", ["data", "one-weird-trick"])
def test_a_process_killed_on_one_of_two_machines_of_two_is_started_again(
    command: Command, of_ten_classes: Ended, tmp_path: Path, parallel: str
) -> None:
    """As torchrun has it for clusters: its processes on both machines agree, and the run is known by its id."""
    disturbed = command(tmp_path / "run", "--parallel", parallel, kill=[3, 7], data="digits")
    where = ("--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-id=cluster")
    with ExitStack() as stack:
        starts = torchrun(disturbed, 2, *where, "--max-restarts=2")
        running = [stack.enter_context(begun(starts, environment())) for _ in range(2)]
        done = [ended(process) for process in running]
    assert [each.status for each in done] == [0, 0], done
    said = "".join(each.stderr for each in done)
    assert "at step 6 of 10" in said or "at step 5 of 10" in said
    assert_same_run(tmp_path / "run", Path(json.loads(of_ten_classes.stdout)["out"]))


@distributed
def test_a_slow_process_changes_nothing_but_time(command: Command, whole: Path, tmp_path: Path) -> None:
    done = by_torchrun(command(tmp_path / "run", slow=[1, 0.5]))
    assert done.status == 0, done.stderr
    assert_same_run(tmp_path / "run", whole)


@distributed
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_a_signal_to_torchrun_ends_all_after_one_step(
    command: Command, whole: Path, tmp_path: Path, by: signal.Signals
) -> None:
    mark = tmp_path / "mark"
    disturbed = command(tmp_path / "run", mark=[str(mark), 3], pause=0.3, every=20)
    with begun(torchrun(disturbed), environment()) as process:
        until = time.monotonic() + 120
        while not mark.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(by)
        done = ended(process)
    assert "the run goes on with: alexnet train" in done.stderr, done.stderr
    assert 3 <= load_checkpoint(tmp_path / "run")[0].step < STEPS
    assert by_torchrun(command(tmp_path / "run", "--resume", every=2)).status == 0
    ours, theirs = (load_checkpoint(folder)[1] for folder in (tmp_path / "run", whole))
    assert all(torch.allclose(ours[name], theirs[name], atol=CLOSE) for name in theirs)


@distributed
def test_damaged_images_are_left_out_everywhere(command: Command, photos: Path, tmp_path: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "data")
    for image in sorted(data.rglob("*.png"))[5:90:20]:
        image.write_bytes(image.read_bytes()[:60])
    one = alone(command(tmp_path / "one", data=data))
    two = by_torchrun(command(tmp_path / "two", data=data))
    assert (one.status, two.status) == (0, 0), two.stderr
    assert_same_run(tmp_path / "two", tmp_path / "one")
    named = [sorted(line for line in done.stderr.splitlines() if "left out" in line) for done in (one, two)]
    assert named[0] == named[1] != []


@distributed
def test_towers_leave_out_what_either_cannot_read(command: Command, photos: Path, tmp_path: Path) -> None:
    """Each has its own copy of the data, of which another image is damaged; the mean image is of what the first has."""
    copies = [shutil.copytree(photos, tmp_path / name / "photos") for name in ("first", "second")]
    damaged = sorted(path.relative_to(photos) for path in photos.rglob("*.png"))[5:90:20]
    for place, image in enumerate(damaged):
        (copies[place % 2] / image).write_bytes((copies[place % 2] / image).read_bytes()[:60])
    ours, other = (command(tmp_path / "run", "--parallel", "towers", net="cifar-towers", data=data) for data in copies)
    done = run_ranks(ours, different={1: other})
    assert [each.status for each in done] == [0, 0], done
    named = {image.as_posix() for image in damaged if f"{image.as_posix()}:" in done[0].stderr}
    assert len(named) >= 2
    assert {damaged.index(Path(name)) % 2 for name in named} == {0, 1}
    assert load_checkpoint(tmp_path / "run")[0].step == STEPS


@distributed
def test_a_run_goes_from_layout_to_layout(command: Command, tmp_path: Path) -> None:
    """Each leaves after some steps, as one of its processes is asked to."""
    net = "cifar-towers"
    assert alone(command(tmp_path / "whole", net=net)).status == 0
    out = tmp_path / "run"
    by_torchrun(command(out, net=net, interrupt=[1, 2]))
    assert load_checkpoint(out)[0].step == 3
    alone(command(out, "--resume", "--parallel", "towers", interrupt=[0, 4]))
    assert load_checkpoint(out)[0].step == 5
    by_torchrun(command(out, "--resume", "--parallel", "one-weird-trick", interrupt=[1, 7]))
    assert load_checkpoint(out)[0].step == 8
    by_torchrun(command(out, "--resume", "--parallel", "towers", interrupt=[0, 8]))
    assert load_checkpoint(out)[0].step == 9
    assert alone(command(out, "--resume")).status == 0
    ours, theirs = (load_checkpoint(folder) for folder in (out, tmp_path / "whole"))
    for found, wanted in zip(ours[1:], theirs[1:], strict=True):
        for name, tensor in wanted.items():
            assert float((found[name] - tensor).abs().max()) <= CLOSE * float(tensor.abs().max()), name


@pytest.fixture
def hosts() -> Iterator[Callable[..., list[str]]]:
    """Gives the beginning of a command that runs on host 0 or 1, and cuts their cable when asked to."""
    if not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the command ip")
    names = [f"alexnet-{os.getpid()}-{number}" for number in range(2)]

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)

    with ExitStack() as stack:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
            stack.callback(ip, "netns", "delete", name)
        ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names):
            ip("-n", name, "address", "add", f"10.77.0.{number + 1}/24", "dev", "cable")
            for link in ("lo", "cable"):
                ip("-n", name, "link", "set", link, "up")
        yield (
            lambda number, *what: (
                ip("-n", names[number], "link", "set", "cable", "down")
                if what == ("cut",)
                else ["ip", "netns", "exec", names[number]]
            )
        )


def on_hosts(stack: ExitStack, hosts: Any, arguments: list[str]) -> list[subprocess.Popen[str]]:
    running = []
    for number in range(2):
        where = ("--nnodes=2", f"--node-rank={number}", "--master-addr=10.77.0.1", "--master-port=29711")
        env = environment(GLOO_SOCKET_IFNAME="cable", TP_SOCKET_IFNAME="cable")
        running.append(stack.enter_context(begun([*hosts(number), *torchrun(arguments, 1, *where)], env)))
    return running


@distributed
def test_two_hosts_make_the_run_of_one_process(hosts: Any, command: Command, whole: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        done = [ended(process) for process in on_hosts(stack, hosts, command(tmp_path / "run"))]
    assert [each.status for each in done] == [0, 0], done
    assert_same_run(tmp_path / "run", whole)


@distributed
def test_a_cut_cable_ends_both_hosts_and_the_run_goes_on(
    hosts: Any, command: Command, whole: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    disturbed = command(tmp_path / "run", mark=[str(mark), 5], pause=0.5, stepping=10)
    with ExitStack() as stack:
        running = on_hosts(stack, hosts, disturbed)
        until = time.monotonic() + 120
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.05)
        hosts(0, "cut")
        cut = time.monotonic()
        done = [ended(process, 150) for process in running]
    assert time.monotonic() - cut < 120
    assert all(each.status for each in done)
    assert "another process of the run is gone" in done[0].stderr, done[0].stderr
    assert alone(command(tmp_path / "run", "--resume")).status == 0
    assert_same_run(tmp_path / "run", whole)


@distributed
def test_a_damaged_folder_ends_all_with_one_line(command: Command, photos: Path, tmp_path: Path) -> None:
    """More than the limit: what was done is saved, and each says at most one line."""
    data = shutil.copytree(photos, tmp_path / "data")
    for image in sorted(data.rglob("*.png"))[::2]:
        image.write_bytes(b"")
    done = run_ranks(command(tmp_path / "run", data=data))
    assert {each.status for each in done} == {2}
    assert done[1].lines == []


def test_two_processes_make_the_run_of_one(command: Command, whole: Path, tmp_path: Path) -> None:
    """The everyday one: steps, records, errors and weights; and nothing is said twice."""
    done = by_torchrun(command(tmp_path / "run"))
    assert done.status == 0, done.stderr
    assert_same_run(tmp_path / "run", whole)
    said = done.stderr.splitlines()
    assert len([line for line in said if "by recipe" in line]) == 1
    assert len([line for line in said if line.startswith("epoch 1: val error")]) == 1
