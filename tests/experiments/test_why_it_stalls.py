import json
from dataclasses import fields
from math import log

import numpy as np
import pytest
from PIL import Image

from alexnet.arch import find
from alexnet.arch.rows import Weighted
from alexnet.experiments.why_it_stalls import (
    CURVES,
    Signal,
    centred_crops,
    main,
    measure_signal,
    variants,
    with_bias,
)

LAYERS = ["image", "pool1", "pool2", "conv3", "conv4", "conv5", "fc6", "fc8"]


@pytest.fixture(scope="module")
def photos(test_data):
    folder = test_data / "imagenet-samples"
    if not folder.is_dir():
        pytest.skip("no photographs: imagenet-samples is not among the test data")
    return folder


def test_the_variants_differ_in_their_beginnings_alone():
    by_name = {variant.name: variant for variant in variants()}
    assert len(by_name) == 8
    assert set(CURVES) < set(by_name)
    run, prose = (by_name[name].spec for name in CURVES)
    for row, other in zip(run.rows, prose.rows, strict=True):
        same = {field.name for field in fields(row) if getattr(row, field.name) == getattr(other, field.name)}
        assert {field.name for field in fields(row)} - same <= {"weight_std"}
    assert {row.weight_std for row in prose.rows if isinstance(row, Weighted)} == {0.01}


def test_another_bias_replaces_those_that_are_not_0():
    before, after = find("caffe"), with_bias(find("caffe"), 1.0)
    biases = [row.bias_init for row in after.rows if isinstance(row, Weighted)]
    assert [row.bias_init for row in before.rows if isinstance(row, Weighted)] == [0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0]
    assert biases == [0, 1, 0, 1, 1, 1, 1, 0]


def test_crops_are_centred_on_their_mean_colour(photos):
    crops = centred_crops(photos, 224)
    assert crops.shape == (16, 3, 224, 224)
    assert np.abs(crops.mean(axis=(0, 2, 3))).max() < 0.01
    assert 50 < crops.std() < 70


def test_the_003_carries_twenty_times_the_signal_up_and_the_gradient_down(photos):
    run, prose = (measure_signal(variant, photos) for variant in variants()[:2])
    assert list(run.by_layer) == LAYERS
    assert 12 < run.by_layer["fc6"] / prose.by_layer["fc6"] < 30
    assert 10 < run.conv1_gradient / prose.conv1_gradient < 30
    assert run.by_layer["pool2"] == prose.by_layer["pool2"]
    assert run.fc6_switched > 5 * prose.fc6_switched


def test_the_command_draws_the_picture_and_prints_the_table(tmp_path, capsys, monkeypatch):
    signal = Signal(by_layer={"image": 58.61, "fc8": 0.0000759}, fc6_switched=0.03, conv1_gradient=2.114)
    monkeypatch.setattr("alexnet.experiments.why_it_stalls.measure_signal", lambda variant, photos: signal)
    logs = [tmp_path / "run.jsonl", tmp_path / "prose.jsonl"]
    for path in logs:
        records = [{"step": step, "split": "train", "loss": log(200)} for step in (20, 40)]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    main(["photos", "--curves", *map(str, logs), "--out", str(tmp_path / "picture.png")])
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 1000
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| variant | image | fc8 | fc6 switched | conv1 gradient / weight |"
    assert lines[2] == f"| {CURVES[0]} | 59 | 7.6e-05 | 0.03 | 2.1 |"
    assert len(lines) == 2 + len(variants())
