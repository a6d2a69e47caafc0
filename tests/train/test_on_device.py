"""Batches of tensors, here on the CPU, against the arrays of the loader that they come from."""

import dataclasses
import os
import subprocess
import sys
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import ArraySplit
from alexnet.errors import ImageError
from alexnet.train.on_device import DeviceLoader

CPU = torch.device("cpu")
PCA = (np.array([1, 2, 3], np.float32), np.eye(3, dtype=np.float32))
OPTIONS = LoaderOptions(
    batch_size=16, resize=24, interpolation="bilinear", crop=20, crops="chunk", chunk_size=5, flip=True, seed=7
)
HELD, NOT_HELD = 1 << 30, 1


class Damaged(ArraySplit):
    """Picture 3 cannot be read."""

    def image(self, index: int) -> Image.Image:
        if index == 3:
            raise ImageError("3.png: damaged")
        return super().image(index)


def loader(kind: type[ArraySplit] = ArraySplit, **options: object) -> TrainLoader:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (70, 12, 18, 3), np.uint8)
    split = kind(images, rng.integers(0, 5, 70), tuple(f"{number}.png" for number in range(70)))
    return TrainLoader(split, dataclasses.replace(OPTIONS, **options), PCA, on_damaged=lambda _: None)


def assert_same_batches(ours, theirs) -> None:
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)
        np.testing.assert_array_equal(a.labels.numpy(), b.labels)
        np.testing.assert_array_equal(a.noise.numpy(), b.noise)
        assert a.images.is_contiguous(memory_format=torch.channels_last)
        assert np.abs(a.images.numpy().astype(int) - b.images).max() <= 1


@pytest.mark.parametrize("free_bytes", [HELD, NOT_HELD])
@pytest.mark.parametrize("kind", [ArraySplit, Damaged])
def test_batches_are_those_of_the_loader_held_or_not(kind, free_bytes):
    said = []
    ours = DeviceLoader(loader(kind), CPU, said.append, free_bytes)
    for epoch in (0, 3):
        assert_same_batches(ours.epoch(epoch), loader(kind).epoch(epoch))
    assert_same_batches(ours.epoch(1, first_step=2), loader(kind).epoch(1, 2))
    assert said == (["70 images are held on cpu, 0.0 GB"] if free_bytes == HELD else [])


def test_it_says_of_itself_what_its_loader_says():
    inner = loader()
    ours = DeviceLoader(inner, CPU, pytest.fail)
    assert (ours.split, ours.options, ours.steps_per_epoch) == (inner.split, inner.options, 5)


@pytest.mark.parametrize("free_bytes", [HELD, NOT_HELD])
def test_an_epoch_that_is_left_early_leaves_no_thread(free_bytes):
    before = threading.active_count()
    batches = DeviceLoader(loader(), CPU, lambda _: None, free_bytes).epoch(0)
    first = list(islice(batches, 2))
    batches.close()
    assert len(first) == 2
    assert threading.active_count() == before


@pytest.mark.slow
def test_the_benchmark_of_cards_runs_where_there_is_none():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "bench/gpu.py", "--device", "cpu", "--quick"]
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr
    assert "4.136 GFLOP an image" in done.stdout
    assert "ours eager" in done.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("free_bytes", [HELD, NOT_HELD])
def test_on_a_card_batches_are_those_of_the_loader(free_bytes):
    """Every batch is read only after those behind it have been made: memory given away too early would show."""
    ours = list(DeviceLoader(loader(batch_size=4), torch.device("cuda"), lambda _: None, free_bytes).epoch(0))
    assert all(batch.images.is_cuda for batch in ours)
    on_host = [
        dataclasses.replace(
            batch,
            images=batch.images.cpu(),
            labels=batch.labels.cpu(),
            noise=None if batch.noise is None else batch.noise.cpu(),
        )
        for batch in ours
    ]
    assert_same_batches(on_host, loader(batch_size=4).epoch(0))
