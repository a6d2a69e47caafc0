"""The package's own training step, as benchmarks time it: net, recipe and update, on random images that are there."""

from dataclasses import replace

import numpy as np
import torch

from alexnet.data.loader import Batch
from alexnet.nn import InputLayer, Net
from alexnet.preprocess import Preprocessing
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.train.layout import WholeNet
from alexnet.train.loop import Trainer

NET, MEAN = "krizhevsky-145", (123.0, 117.0, 104.0)
CPU = torch.device("cpu")


def trainer_of(
    net: Net, device: torch.device = CPU, *, dtype: torch.dtype = torch.bfloat16, batch_size: int = 128
) -> Trainer:
    """A net at the first step of a long run."""
    recipe = replace(KRIZHEVSKY_145, batch_size=batch_size)
    inputs = InputLayer(Preprocessing(mean=MEAN))
    return Trainer(WholeNet(net, device), recipe, inputs, device=device, dtype=dtype, seed=0, total_steps=1_000_000)


def random_batch(batch_size: int, num_classes: int = 1000) -> Batch:
    """Noise of 224 pixels with labels, its channels last in memory, as the loader's."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, 224, 224, 3), np.uint8).transpose(0, 3, 1, 2)
    return Batch(images, rng.integers(0, num_classes, batch_size), None, np.arange(batch_size))
