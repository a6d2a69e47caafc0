"""How fast do files become training batches, against the bare decoder and against torch's DataLoader?

    .venv/bin/python bench/input.py
    .venv/bin/python bench/input.py --photos FOLDER --workers 1 2 4 --images 10000 --rounds 5

All sides run in one process, turn about, an epoch each, with the files in the page cache and every image decoded anew:

- prepared shards (256x256 JPEG in tar): our loader (crop 224, flip, colour noise, labels) over the bare decoder, which
  decodes the same bytes with as many threads and does nothing else; once with simplejpeg, once with Pillow alone;
- full-size class folders: our loader over `torch.utils.data.DataLoader` with as many worker processes, Pillow, and the
  transforms that torchvision applies to each image (shorter side to 256, crop 224, flip, uint8 tensor, collate).

Freed memory is kept on all sides; the worker processes inherit the setting.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from alexnet.data import picture
from alexnet.data.datasets import open_data
from alexnet.data.loader import LoaderOptions, TrainLoader
from alexnet.data.splits import EncodedSplit, Split
from alexnet.memory import keep_memory
from photos import PHOTOS, link_photos
from record import record

CANVAS, CROP, BATCH_SIZE = 256, 224, 128
SOME = 96

Epoch = Callable[[], int]  # drains one; the number of its images


def ours(split: Split, workers: int) -> Epoch:
    options = LoaderOptions(
        batch_size=BATCH_SIZE,
        resize=CANVAS,
        interpolation="bilinear",
        crop=CROP,
        crops="image",
        flip=True,
        seed=0,
        workers=workers,
        keep_bytes=0,  # every epoch decodes, as one of a million images does
    )
    noise = (np.ones(3, np.float32), np.eye(3, dtype=np.float32))
    loader, epochs = TrainLoader(split, options, noise), count()
    return lambda: sum(len(batch.labels) for batch in loader.epoch(next(epochs)))


def with_pillow_alone(epoch: Epoch) -> Epoch:
    def run() -> int:
        with patch.object(picture, "_simplejpeg", lambda: None):
            return epoch()

    return run


def bare_decoder(split: Split, workers: int, decode: Callable[[bytes], object]) -> Epoch:
    assert isinstance(split, EncodedSplit)
    files = [split.encoded(index) for index in range(len(split))]
    pool = ThreadPoolExecutor(workers)

    def decode_part(worker: int) -> int:
        part = files[worker::workers]
        for file in part:
            decode(file)
        return len(part)

    return lambda: sum(pool.map(decode_part, range(workers)))


def decode_with_pillow(file: bytes) -> None:
    Image.open(BytesIO(file)).load()


class PerImageTransforms(Dataset[tuple[Tensor, int]]):
    """A folder as torchvision's ImageFolder and its transforms on Pillow pictures give it."""

    def __init__(self, paths: list[Path], labels: list[int]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with self.paths[index].open("rb") as file:
            image = Image.open(file).convert("RGB")
        width, height = image.size
        shorter = min(width, height)
        image = image.resize((CANVAS * width // shorter, CANVAS * height // shorter), Image.Resampling.BILINEAR)
        left, top = random.randint(0, image.width - CROP), random.randint(0, image.height - CROP)
        image = image.crop((left, top, left + CROP, top + CROP))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image, copy=True))
        return pixels.permute(2, 0, 1).contiguous(), self.labels[index]


def data_loader(root: Path, split: Split, workers: int) -> Epoch:
    images = PerImageTransforms([root / path for path in split.paths], split.labels.tolist())
    loader = DataLoader(images, BATCH_SIZE, shuffle=True, num_workers=workers, persistent_workers=True)
    return lambda: sum(len(labels) for _, labels in loader)


def take_turns(epochs: Mapping[str, Epoch], rounds: int) -> dict[str, list[float]]:
    """Images per second of each in every round, after one round to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for round_number in range(rounds + 1):
        for name, epoch in epochs.items():
            start = perf_counter()
            num_images = epoch()
            if round_number:
                rates[name].append(num_images / (perf_counter() - start))
    return rates


def report(title: str, rates: Mapping[str, list[float]], pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Print a table; ratios are taken round by round."""
    print(title)
    for name, values in rates.items():
        print(f"  {name:48} {median(values):7,.0f} images/s ({min(values):,.0f} to {max(values):,.0f})")
    ratios = {
        f"{one} / {other}": [a / b for a, b in zip(rates[one], rates[other], strict=True)] for one, other in pairs
    }
    for name, values in ratios.items():
        print(f"  {name:48} {median(values):7.3f}          ({min(values):.3f} to {max(values):.3f})", flush=True)
    return {"title": title, "images_per_second": rates, "ratios": ratios}


def compare_on_shards(split: Split, workers: int, rounds: int) -> dict[str, object]:
    epoch = ours(split, workers)
    sides = {
        "ours": epoch,
        "bare simplejpeg": bare_decoder(split, workers, simplejpeg.decode_jpeg),
        "ours, Pillow alone": with_pillow_alone(epoch),
        "bare Pillow": bare_decoder(split, workers, decode_with_pillow),
    }
    pairs = [("ours", "bare simplejpeg"), ("ours, Pillow alone", "bare Pillow"), ("ours", "bare Pillow")]
    return report(f"prepared shards, {workers} threads", take_turns(sides, rounds), pairs)


def compare_on_folders(root: Path, split: Split, workers: int, rounds: int) -> dict[str, object]:
    epoch = ours(split, workers)
    sides = {
        "ours": epoch,
        "ours, Pillow alone": with_pillow_alone(epoch),
        "DataLoader": data_loader(root, split, workers),
    }
    pairs = [("ours", "DataLoader"), ("ours, Pillow alone", "DataLoader")]
    return report(f"class folders, {workers} workers", take_turns(sides, rounds), pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=16 * BATCH_SIZE)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory() as scratch:
        folder, packed = Path(scratch, "photos"), Path(scratch, "packed")
        link_photos(folder / "train", options.images, options.photos)
        link_photos(folder / "val", SOME, options.photos)  # without it a tenth would be held out
        subprocess.run([sys.executable, "-m", "alexnet", "prepare", folder, packed], check=True, capture_output=True)
        photos, shards = (open_data(str(path)).split("train") for path in (folder, packed))
        tables = []
        for workers in options.workers:
            tables += [
                compare_on_shards(shards, workers, options.rounds),
                compare_on_folders(folder, photos, workers, options.rounds),
            ]
    record("input", {"images": options.images, "tables": tables})


if __name__ == "__main__":
    main()
