"""Does the memory of `alexnet prepare` grow with the number of images?

    .venv/bin/python bench/prepare_memory.py            # 1,000, 10,000 and 100,000 images
    .venv/bin/python bench/prepare_memory.py 1000000

Trees of 100 class folders, made of hard links to a few small pictures drawn here, are prepared by the real command
at 32 pixels with two workers; what counts is the peak of the process's resident memory, as the kernel saw it.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import PIL
from PIL import Image

from alexnet.cores import usable_cores

TREES = (1_000, 10_000, 100_000)
CLASSES, DIFFERENT = 100, 50


def make_tree(root: Path, num_images: int) -> None:
    rng = np.random.default_rng(0)
    originals = root.with_name("originals")
    originals.mkdir()
    for number in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(originals / f"{number}.jpg")
    for label in range(CLASSES):
        (root / f"class-{label:03d}").mkdir(parents=True)
    for number in range(num_images):
        source = originals / f"{number % DIFFERENT}.jpg"
        target = root / f"class-{number % CLASSES:03d}" / f"photograph-{number:07d}.jpg"
        try:
            os.link(source, target)
        except OSError:  # a file system has a most number of links to one file
            shutil.copy(source, source.with_suffix(".new"))
            source.with_suffix(".new").replace(source)
            os.link(source, target)


def measure(num_images: int) -> tuple[float, float]:
    """(peak resident MiB, seconds) of one preparation."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "photos")
        make_tree(tree, num_images)
        command = [sys.executable, "-m", "alexnet", "prepare", str(tree), str(Path(scratch, "out")), "--size", "32"]
        start = perf_counter()
        process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, process.stderr and process.stderr.read().decode()
        return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), perf_counter() - start


def main() -> None:
    print(f"Python {platform.python_version()}, Pillow {PIL.__version__}, {usable_cores()} cores")
    print("images      peak MiB  seconds  images/s")
    for num_images in map(int, sys.argv[1:] or TREES):
        peak, seconds = measure(num_images)
        print(f"{num_images:<10,}  {peak:8.1f}  {seconds:7.1f}  {num_images / seconds:8,.0f}", flush=True)


if __name__ == "__main__":
    main()
