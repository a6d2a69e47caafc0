"""The package's own training step, as benchmarks time it: net, recipe and update, on random images that are there."""

import numpy as np
import torch

from alexnet.data.loader import Batch
from alexnet.nn import InputLayer, create
from alexnet.preprocess import Preprocessing
from alexnet.recipes import KRIZHEVSKY_145
from alexnet.train.loop import Trainer


def cpu_trainer(net: str = "krizhevsky-145", num_classes: int = 1000, dtype: torch.dtype = torch.bfloat16) -> Trainer:
    """A named net with initial weights, at the first step of a long run on the CPU."""
    return Trainer(
        create(net, num_classes=num_classes, seed=0),
        KRIZHEVSKY_145,
        InputLayer(Preprocessing(mean=(127.0, 119.0, 105.0))),
        device=torch.device("cpu"),
        dtype=dtype,
        seed=0,
        total_steps=1000,
    )


def random_batch(batch_size: int, num_classes: int = 1000) -> Batch:
    """Noise of 224 pixels with labels, in planar memory."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, 3, 224, 224), np.uint8)
    return Batch(images, rng.integers(0, num_classes, batch_size), None, np.arange(batch_size))
