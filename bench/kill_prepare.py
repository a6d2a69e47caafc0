"""Does a preparation that was killed at any moment go on to the same bytes?

    .venv/bin/python bench/kill_prepare.py      # 50 times
    .venv/bin/python bench/kill_prepare.py 10

Starts the real command, kills it with SIGKILL at a random moment of its time, looks at what is there, and lets the same
command go on, until it has been killed that often; every time it comes to its end, all files must have the digests of a
preparation that nobody disturbed.
"""

import hashlib
import platform
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from shutil import rmtree
from time import perf_counter, sleep

import numpy as np
import PIL
from PIL import Image

IMAGES, CLASSES = 240, 4
OPTIONS = ["--size", "128", "--shard-images", "16", "--workers", "2"]


def make_tree(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        path = root / f"class-{number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(path)
    (root / "class-0" / "0.jpg").write_bytes(b"no image")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def moment(folder: Path) -> str:
    """Where in its work a killed process was, by what it left."""
    if not (folder / ".prepare" / "ledger.sqlite").exists():
        return "before the plan was whole"
    if any(folder.glob(".*.tmp")):
        return "while a file was written"
    return "while a shard was entered in the ledger" if any(folder.glob(".prepare/*-journal")) else "between files"


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        source, whole, folder = (Path(scratch, name) for name in ("photos", "whole", "killed"))
        make_tree(source)
        command = [sys.executable, "-m", "alexnet", "prepare", str(source)]
        start = perf_counter()
        subprocess.run([*command, str(whole), *OPTIONS], check=True, capture_output=True)
        seconds = perf_counter() - start
        expected, moments, equal = digests(whole), Counter[str](), 0
        while moments.total() < wanted:
            with subprocess.Popen([*command, str(folder), *OPTIONS], stdout=-3, stderr=-3) as process:
                sleep(rng.uniform(0.1, 0.8) * seconds)
                process.kill()
            if process.returncode < 0:
                moments[moment(folder)] += 1
            else:
                assert digests(folder) == expected
                equal += 1
                rmtree(folder)
        subprocess.run([*command, str(folder), *OPTIONS], check=True, capture_output=True)
        assert digests(folder) == expected
    print(
        f"Python {platform.python_version()}, Pillow {PIL.__version__}, {IMAGES} images, {len(expected)} files in all"
    )
    for where, count in moments.most_common():
        print(f"{count:4} killed {where}")
    print(
        f"{equal + 1:4} preparations ended after them, all {len(expected)} files equal to an undisturbed one each time"
    )


if __name__ == "__main__":
    main()
