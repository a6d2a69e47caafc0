import json
from dataclasses import replace

import pytest
from PIL import Image

from alexnet.arch import find
from alexnet.arch.rows import Weighted
from alexnet.experiments import first_steps as experiment
from alexnet.experiments.first_steps import main, with_weight_std


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """Four classes of plain images, and a small net in the place of the large one."""
    for number, name in enumerate(("black", "blue", "green", "red")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for place in range(60):
            shade = 40 * number + place
            Image.new("RGB", (16, 16), (shade, 255 - shade, 30)).save(tmp_path / "data" / name / f"{place}.png")
    monkeypatch.setattr(experiment, "NET", "digits")
    monkeypatch.setattr(experiment, "STEPS_PER_RECORD", 2)
    return tmp_path / "data"


def records(data, out, *options):
    main([str(data), "--steps", "3", "--out", str(out), *options])
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_weight_gets_the_standard_deviation_and_nothing_else_changes():
    net = find("krizhevsky-145")
    for before, after in zip(net.rows, with_weight_std(net, 0.02).rows, strict=True):
        assert after == (replace(before, weight_std=0.02) if isinstance(before, Weighted) else before)


def test_the_command_logs_the_first_losses_and_the_same_ones_again(colours, tmp_path, capsys):
    first = records(colours, tmp_path / "a.jsonl")
    assert [(record["step"], record["split"], record["lr"]) for record in first] == [
        (2, "train", 0.005),
        (3, "train", 0.005),
    ]
    assert records(colours, tmp_path / "b.jsonl") == first
    assert capsys.readouterr().out == ""


def test_other_initial_weights_give_other_losses_of_the_same_batches(colours, tmp_path):
    own, ours = records(colours, tmp_path / "a.jsonl"), records(colours, tmp_path / "b.jsonl", "--std", "0.05")
    assert own[0]["loss"] != ours[0]["loss"]
    assert own[0].keys() == ours[0].keys()
