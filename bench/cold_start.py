"""How much disk, time and memory does the first prediction of a small install take, beside bare ONNX Runtime?

    .venv/bin/python bench/cold_start.py [PHOTOS]      a fresh venv and some five minutes

A fresh venv gets the package with its onnx extra and nothing else. Then `alexnet predict photo.jpg` and a script of a
dozen lines that does the same with ONNX Runtime, NumPy and Pillow alone take turns, each in a process of its own. The
clock runs from the start of the process to the line with the label; memory is the most that was resident, the pages of
mapped files included. The net has 1,000 classes and initial weights; int8 is calibrated on PHOTOS, a folder of images.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from record import record, spread

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "../shared/data/imagenet-samples"
FOLDER = ROOT / "build/cold_start"
NETS = ("one-weird-trick", "krizhevsky-145")
ROUNDS = 9
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
SEED = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}  # what a venv of Python 3.11 begins with

# Runs where torch is: initial weights need it.
MAKE_WEIGHTS = """
import sys
from alexnet.arch import find
from alexnet.data.splits import unnamed_classes
from alexnet.nn import create
from alexnet.preprocess import Preprocessing
from alexnet.weights import Weights, save_weights
net, path = sys.argv[1:]
tensors = {key: tensor.numpy() for key, tensor in create(net, seed=0).state_dict().items()}
preprocessing = Preprocessing(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
save_weights(path, Weights(spec=find(net), classes=unnamed_classes(1000), preprocessing=preprocessing, tensors=tensors))
"""

BARE = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
photo, path = sys.argv[1:]
session = onnxruntime.InferenceSession(path)
image = Image.open(photo).convert("RGB")
scale = 256 / min(image.size)
image = image.resize((round(scale * image.width), round(scale * image.height)), Image.Resampling.BILINEAR)
left, top = (image.width - 224) // 2, (image.height - 224) // 2
pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
pixels = (pixels - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
logits = session.run(None, {"images": pixels.transpose(2, 0, 1)[None]})[0]
print("class", logits.argmax())
"""


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    mebibytes: float


def main() -> None:
    photos = Path(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS
    python = fresh_venv()
    figures: dict[str, Any] = {}
    [site] = FOLDER.glob("venv/lib/*/site-packages")
    installed = [entry for entry in site.iterdir() if entry.name.split("-")[0] not in SEED]
    for what, places in (("installed", installed), ("the whole venv", [FOLDER / "venv"])):
        figures[what] = {"mib": round(sum(map(size, places)), 1), "mib_in_blocks": round(sum(map(blocks, places)), 1)}
        print(f"{what}: {figures[what]['mib']} MiB, {figures[what]['mib_in_blocks']} MiB in blocks of the disk")
    photo = next(iter(sorted(photos.rglob("*.JPEG"))))
    for net in NETS:
        files = weights_files(net, photos)
        commands = {"bare ONNX Runtime, fp32 .onnx": [python, "-c", BARE, str(photo), str(files["fp32 .onnx"])]}
        for name, path in files.items():
            predict = [python, "-m", "alexnet", "predict", str(photo), "--weights", str(path), "--top", "1"]
            commands[f"alexnet predict, {name}"] = [*predict, "--engine", "onnxruntime"]
        figures[net] = report(net, take_turns(commands))
    record("cold_start", figures)


def fresh_venv() -> str:
    """The interpreter of a venv with the package, built from this tree, and its onnx extra."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER / "venv")], check=True)
    python = str(FOLDER / "venv/bin/python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
    FOLDER.joinpath("wheels").mkdir(exist_ok=True)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(FOLDER / "wheels")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    wheel = max(FOLDER.glob("wheels/*.whl"), key=lambda path: path.stat().st_mtime)
    subprocess.run([*pip, f"{wheel}[onnx]"], check=True)
    return python


def weights_files(net: str, photos: Path) -> dict[str, Path]:
    """The same weights in three files, made with all that is installed for development."""
    files = {
        "fp32 .onnx": FOLDER / f"{net}.onnx",
        "fp32 .safetensors": FOLDER / f"{net}.safetensors",
        "int8 .onnx": FOLDER / f"{net}.int8.onnx",
    }
    source = str(files["fp32 .safetensors"])
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, net, source], check=True)
    convert = [sys.executable, "-m", "alexnet", "convert", source]
    for name, options in {"fp32 .onnx": [], "int8 .onnx": ["--int8", "--calibrate", str(photos)]}.items():
        subprocess.run([*convert, str(files[name]), *options], check=True, stdout=subprocess.DEVNULL)
    return files


def take_turns(commands: dict[str, list[str]]) -> dict[str, list[Cost]]:
    """Every command `ROUNDS` times, in turn, after one round that warms the system's cache of files."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for round_number in range(ROUNDS + 1):
        for name, command in commands.items():
            cost = run(command)
            if round_number:
                costs[name].append(cost)
    return costs


def run(command: list[str]) -> Cost:
    """Seconds to the last line, which is the label, and the most resident memory: a child starts as large as we are."""
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    seconds = [perf_counter() - start for _ in process.stdout][-1]
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Cost(seconds, usage.ru_maxrss / 1024)


def report(net: str, costs: dict[str, list[Cost]]) -> dict[str, Any]:
    """Print the costs of every command, and give them; the ratio is the median of those of one round."""
    print(f"{net}, {os.cpu_count()} cores, median of {ROUNDS} [smallest, largest], in turn; ratio to the first")
    first, figures = next(iter(costs.values())), {}
    for name, found in costs.items():
        seconds, mebibytes = (spread(list(values)) for values in zip(*found, strict=True))
        ratio = median(one.seconds / other.seconds for one, other in zip(found, first, strict=True))
        figures[name] = {"seconds": seconds, "mib": mebibytes, "ratio": ratio}
        print(
            f"  {name:34} {seconds['median']:5.2f} s [{seconds['min']:.2f}, {seconds['max']:.2f}]  {ratio:4.2f}x  "
            f"{mebibytes['median']:5.0f} MiB [{mebibytes['min']:.0f}, {mebibytes['max']:.0f}]"
        )
    return figures


def size(place: Path) -> float:
    """MiB of a file, or of all files in a folder."""
    return sum(path.lstat().st_size for path in [place, *place.rglob("*")] if path.is_file()) / 2**20


def blocks(place: Path) -> float:
    """The same in the blocks that they take on the disk, folders included."""
    return sum(path.lstat().st_blocks * 512 for path in [place, *place.rglob("*")]) / 2**20


if __name__ == "__main__":
    main()
