"""Does the memory of the input grow with the number of images?

    .venv/bin/python bench/input_memory.py                  # 1,000, 10,000 and 100,000 images
    .venv/bin/python bench/input_memory.py --counts 1000000

Class folders (links to a few small pictures drawn here) and shards of the same pictures; 40 batches are drawn from each
in a process of its own, and its peak resident memory is read. Shards are mapped files, whose pages count as resident
while the system has no other use for them, so what is the process's own (`RssAnon`) stands beside it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from subprocess import check_output

import numpy as np
from PIL import Image

from photos import link_photos
from record import record

COUNTS, CLASSES, DIFFERENT, BATCHES = (1_000, 10_000, 100_000), 20, 100, 40


def draw_originals(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        path = root / f"class-{number % CLASSES:02d}" / f"photograph-{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((96, 72), Image.Resampling.BICUBIC).save(path)
    return root


def pack(folder: Path, num_images: int, originals: Path) -> Path:
    from alexnet.data.shards import write_shard

    files = [(path.read_bytes(), int(path.parent.name[-2:])) for path in sorted(originals.glob("*/*"))]
    folder.mkdir()
    for start in range(0, num_images, 10_000):
        numbers = range(start, min(start + 10_000, num_images))
        samples = ((f"photograph-{number:08d}", *_sample(files[number % DIFFERENT])) for number in numbers)
        write_shard(folder / f"train-{start // 10_000:05d}.tar", samples)
    return folder


def _sample(file: tuple[bytes, int]) -> tuple[bytes, str, int]:
    content, label = file
    return content, "jpg", label


KINDS: dict[str, Callable[[Path, int, Path], Path]] = {"class folders": link_photos, "shards": pack}


def read_batches(data: str) -> None:
    """Draw batches as training does; print peak and own resident MiB of this process."""
    from alexnet.data.datasets import open_data
    from alexnet.data.loader import LoaderOptions, TrainLoader

    options = LoaderOptions(
        batch_size=128,
        resize=64,
        interpolation="bilinear",
        crop=56,
        crops="image",
        flip=True,
        seed=0,
        keep_bytes=0,  # else small sets are kept on purpose, up to this
    )
    drawn = 0
    loader = TrainLoader(open_data(data).split("train"), options)
    for epoch in range(BATCHES):
        drawn += sum(1 for _ in islice(loader.epoch(epoch), BATCHES - drawn))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(*(int(status[key].split()[0]) / 1024 for key in ("VmHWM", "RssAnon")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_batches(options.read)
        return
    print("data           images   peak MiB   own MiB   own bytes an image more than before")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        originals = draw_originals(Path(scratch, "originals"))
        for kind, make in KINDS.items():
            before = (0, 0.0)
            for num_images in options.counts:
                target = Path(scratch, f"{kind}-{num_images}")
                data = make(target, num_images, originals)
                command = [sys.executable, __file__, "--read", str(data)]
                environment = os.environ | {"ALEXNET_CACHE": str(Path(scratch, "cache"))}
                peak, own = map(float, check_output(command, env=environment, text=True).split())
                grown = f"{(own - before[1]) * 2**20 / (num_images - before[0]):8.0f}" if before[0] else ""
                print(f"{kind:13} {num_images:8,} {peak:9.1f} {own:9.1f}   {grown}", flush=True)
                before = (num_images, own)
                rows.append({"data": kind, "images": num_images, "peak_mib": peak, "own_mib": own})
    record("input_memory", {"rows": rows})


if __name__ == "__main__":
    main()
